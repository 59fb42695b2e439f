# Ways through a rootfs to a directory of it, symlinks followed as the rootfs's own root would.

from .rootfs cimport Making, Rootfs

# The directory at a path: an index into `directories` that is valid until the next call, MISSING when there is none and
# none was made, or -1. One that the layers below have is made as it is there; any other is 0755 and root's.
cdef int directory_at(Rootfs *rootfs, const char *path, size_t size, Making making) noexcept nogil
