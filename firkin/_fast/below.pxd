# What the layers below a layer have: looked at through an open directory that shows them merged.

from .byte_buffer cimport ByteBuffer
from .syscalls cimport mode_t, stat_result


# A name that the layers below have, in an open directory of theirs; -1 when they have none, or it is hidden from here.
cdef struct Below:
    int parent
    mode_t kind


# All give 0, or -1 with errno.
# Looks for `name` in the directory at `path`, which has no symlinks, unless `root` has it or one on the way opaque.
cdef int look_below(
    int root, int lower, const char *opaque, const ByteBuffer *path, const char *name, Below *below
) noexcept nogil
cdef void leave_below(Below *below) noexcept nogil

# Gives a new file or directory the owner, mode and attributes of another; its status is told, for its times.
cdef int copy_metadata(int source, int copy, stat_result *status) noexcept nogil
# Copies what is no directory to a directory, under the same name.
cdef int copy_node(const Below *below, const char *name, int directory) noexcept nogil
