# Removing trees of a rootfs: no symlink is followed, no mount entered, and no depth is too deep.

from .path_ids cimport PathId
from .rootfs cimport Rootfs

# Remove `name` of the open directory `parent`, and everything below it; what is gone already is removed already.
cdef int remove_entry(Rootfs *rootfs, int parent, PathId path, const char *name) noexcept nogil

# Remove what lower layers brought below a directory, at any depth.
cdef int remove_lower_children(Rootfs *rootfs, int directory, PathId path) noexcept nogil
