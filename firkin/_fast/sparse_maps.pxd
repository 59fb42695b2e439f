# Sparse maps of files in archives: the extents of the entry that has begun, from its headers or from its data.

from .archive cimport Archive

cdef enum SparseMap:
    MAP_GOES_ON = 0  # in the next block
    MAP_IS_WHOLE = 1

# Each is -1 when the map is none.
# From the header of GNU's old format, and from each block that follows it.
cdef int begin_old_map(Archive *archive, const char *block) noexcept nogil
cdef int old_map_block(Archive *archive, const char *block) noexcept nogil
# From pax records, for a regular file, which may not be sparse at all; and from each block of data that has a map.
cdef int begin_pax_map(Archive *archive) noexcept nogil
cdef int map_block(Archive *archive, const char *block) noexcept nogil
# Whether a whole map is in order and fits the sizes.
cdef int check_extents(Archive *archive) noexcept nogil
