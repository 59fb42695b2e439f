# The places that entries of a layer name, and what stands there.

from .applying cimport Applying, Target
from .byte_buffer cimport ByteBuffer
from .tar_header cimport Span

# A name, relative to the rootfs, with a NUL that does not count.
cdef int clean_name(Applying *layer, Span name, ByteBuffer *path) noexcept nogil
# Where its last component begins.
cdef void split_target(Target *target) noexcept nogil
# The size of the path of the parent, 0 for the rootfs.
cdef size_t parent_size(const ByteBuffer *path) noexcept nogil
# Whether it is below a directory whose name only whiteouts may have (aufs kept its own files in such).
cdef bint is_reserved(const Target *target) noexcept nogil
# Remove what stands in the entry's place.
cdef int clear_place(Applying *layer) noexcept nogil
