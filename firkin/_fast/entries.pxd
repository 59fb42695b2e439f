# The entries of a layer's archive, made in the rootfs.

from .applying cimport Applying

# The next bytes of the archive.
cdef int apply_bytes(Applying *layer, const char *data, size_t size) noexcept nogil
