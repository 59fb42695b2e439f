# A rootfs that is being written, and its directories: found without ever leaving it.

from posix.types cimport gid_t, mode_t, uid_t

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
    bint last_is_brought
    # Of the walk that is under way: where it is, what is left of its path, and room to put that together anew.
    ByteBuffer canonical
    ByteBuffer rest
    ByteBuffer spare
    PathId *prefix_ids
    size_t prefix_capacity


cdef int rootfs_open(Rootfs *rootfs, int root, PathId root_id) noexcept nogil
cdef int rootfs_close(Rootfs *rootfs, bint keep_times) noexcept nogil

# The directory at a path, symlinks followed as the rootfs's own root would: an index into `directories` that is valid
# until the next call, MISSING when `make` is False, or -1. Missing ones are made, 0755 and root's.
cdef int directory_at(Rootfs *rootfs, const char *path, size_t size, bint make) noexcept nogil

# Make the directory `name` and open it: -1 with errno.
cdef int make_directory(Rootfs *rootfs, int parent, const char *name, mode_t mode) noexcept nogil
# Open the directory `name`: -1 with errno.
cdef int open_directory(Rootfs *rootfs, int parent, const char *name) noexcept nogil

# The directory with this id if it is open, or -1.
cdef int open_directory_with(const Rootfs *rootfs, PathId path) noexcept nogil
# Forget a directory that is no more.
cdef void forget_directory(Rootfs *rootfs, PathId path) noexcept nogil
# A symlink or directory is no more, so a path may mean something else now.
cdef void forget_last_path(Rootfs *rootfs) noexcept nogil
cdef int remove_acl(int file, const char *attribute) noexcept nogil
cdef int set_opaque(Rootfs *rootfs, int directory) noexcept nogil
cdef bint is_whiteout(int directory, const char *name) noexcept nogil
cdef int note_brought(Rootfs *rootfs, int parent, const char *name) noexcept nogil
