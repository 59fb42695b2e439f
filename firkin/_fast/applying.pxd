# A layer that is being applied: the rootfs, the archive, and where its entries belong.

from .archive cimport Archive
from .byte_buffer cimport ByteBuffer
from .rootfs cimport Rootfs


# The place of the entry that is being applied. Its parent is valid as long as no other directory is looked for.
cdef struct Target:
    ByteBuffer path
    ByteBuffer link_path
    char *name
    size_t parent_size
    int parent
    int file
    size_t extent
    long long written


cdef struct Applying:
    Rootfs rootfs
    Archive archive
    Target target
    long long entries
    long long entry_limit
    long long depth_limit
