# A rootfs that is being written, and its directories.

from posix.types cimport gid_t, mode_t, uid_t

from .below cimport Below
from .byte_buffer cimport ByteBuffer
from .failure cimport Failure
from .path_ids cimport PathId, PathSet
from .syscalls cimport timespec

cdef enum:
    MISSING = -2
    ROOT = 0
    KEPT_OPEN = 128
    BUCKETS = 256


# How whiteouts are written: applied at once, or as overlayfs wants them, privileged or not (overlayfs.rst).
cdef enum Whiteouts:
    APPLIED
    TRUSTED_OVERLAY
    USER_OVERLAY


# Whether a missing directory is made.
cdef enum Making:
    NEVER
    AS_BELOW  # when the layers below have it
    ALWAYS


# Gives an open directory that shows the layers below, merged; -1 when that fails. May wait, and must not hold the GIL.
ctypedef int (*LowerView)(void *context) noexcept nogil


# An open directory of the rootfs. Its time is given back when it is closed, if it was written to.
cdef struct Directory:
    PathId id
    PathId parent
    int fd
    mode_t mode
    uid_t uid
    gid_t gid
    timespec mtime
    bint changed
    bint has_default_acl
    bint is_pinned
    int older
    int newer
    int chained


cdef struct Rootfs:
    Failure failure
    # Who writes: what is made belongs to this owner, less these bits of its mode.
    uid_t uid
    gid_t gid
    mode_t umask
    bint is_rootless
    Whiteouts whiteouts
    # Of a rootfs that will lie on others: what they show, looked for when it is needed first. NULL without any.
    LowerView find_lower
    void *lower_context
    int lower
    bint root_is_dressed
    # What this layer brought, unless nothing was there before it.
    bint was_empty
    PathSet brought
    long long implied_parents
    long long replaced_devices
    long long replaced_owners
    long long left_out_attributes
    # Directories kept open, by id and by age.
    Directory *directories
    int in_use
    int newest
    int oldest
    int[BUCKETS] buckets
    # The last path that was asked for, and the directory it is; -1 for none.
    ByteBuffer last_path
    int last
    Making last_making
    # Of the walk that is under way: where it is, what is left of its path, and room to put that together anew.
    ByteBuffer canonical
    ByteBuffer rest
    ByteBuffer spare
    ByteBuffer lower_link  # the target of a symlink that only the layers below have
    bint is_lower_link
    PathId *prefix_ids
    size_t prefix_capacity


cdef int rootfs_open(Rootfs *rootfs, int root, PathId root_id) noexcept nogil
cdef int rootfs_close(Rootfs *rootfs, bint keep_times) noexcept nogil

# The layers below, merged, as an open directory; -1 when they cannot be shown.
cdef int lower_view(Rootfs *rootfs) noexcept nogil
# What the layers below have as `name` of the directory at `canonical`, unless this layer hides it.
cdef int find_below(Rootfs *rootfs, const char *name, Below *below) noexcept nogil
# Give an open directory what an open one of the layers below has: -1 with errno.
cdef int copy_directory(Rootfs *rootfs, int source, int directory) noexcept nogil

# Make the directory `name` and open it: -1 with errno.
cdef int make_directory(Rootfs *rootfs, int parent, const char *name, mode_t mode) noexcept nogil
# Open the directory `name`: -1 with errno.
cdef int open_directory(Rootfs *rootfs, int parent, const char *name) noexcept nogil

# A symlink or directory is no more, so a path may mean something else now.
cdef void forget_last_path(Rootfs *rootfs) noexcept nogil
cdef int remove_acl(int file, const char *attribute) noexcept nogil
cdef int set_opaque(Rootfs *rootfs, int directory) noexcept nogil
cdef bint is_whiteout(int directory, const char *name) noexcept nogil
cdef int note_brought(Rootfs *rootfs, int parent, const char *name) noexcept nogil
