# Paths by a fingerprint of 128 bits that nobody can aim for, and sets of them: 16 bytes a path, however long.

cdef struct PathId:
    unsigned long long low
    unsigned long long high


cdef struct PathSet:
    PathId *slots
    size_t capacity  # a power of two, or 0
    size_t taken     # removed ones included
    size_t size


# The id of `name` in the directory `parent`; the root's id is random and secret.
cdef PathId child_id(PathId parent, const char *name, size_t size) noexcept nogil

cdef bint path_set_has(const PathSet *paths, PathId path) noexcept nogil
cdef int path_set_add(PathSet *paths, PathId path) noexcept nogil  # -1 without memory
cdef void path_set_discard(PathSet *paths, PathId path) noexcept nogil
cdef void path_set_free(PathSet *paths) noexcept nogil


cdef inline bint same_path(PathId one, PathId other) noexcept nogil:
    return one.low == other.low and one.high == other.high
