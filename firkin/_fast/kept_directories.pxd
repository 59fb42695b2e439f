# The directories of a rootfs that are open.

from .path_ids cimport PathId
from .rootfs cimport Rootfs


# Keep an open directory: its index, or -1 with errno, and then it is closed.
cdef int keep_directory(Rootfs *rootfs, int fd, PathId path, PathId parent) noexcept nogil
# Close a directory, with its time given back: -1 with errno.
cdef int close_directory(Rootfs *rootfs, int index, bint keep_times) noexcept nogil
# It is in use: others are closed before it.
cdef void touch_directory(Rootfs *rootfs, int index) noexcept nogil

# The directory with this id if it is open, or -1.
cdef int open_directory_with(const Rootfs *rootfs, PathId path) noexcept nogil
# Forget a directory that is no more.
cdef void forget_directory(Rootfs *rootfs, PathId path) noexcept nogil
