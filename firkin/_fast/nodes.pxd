# Files, directories and other nodes of a rootfs: made, and given owner, mode, attributes and time.

from .archive cimport Entry
from .rootfs cimport Rootfs


# All give 0, or -1; creating gives -1 with errno, for the caller to look at.
cdef int create_file(const Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil
cdef int create_node(Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil
cdef int dress_file(Rootfs *rootfs, int parent, int file, const Entry *entry) noexcept nogil
cdef int dress_directory(Rootfs *rootfs, int directory, const Entry *entry, bint is_new) noexcept nogil
cdef int dress_node(Rootfs *rootfs, int parent, const char *name, const Entry *entry) noexcept nogil
cdef bint is_device(char kind) noexcept nogil
