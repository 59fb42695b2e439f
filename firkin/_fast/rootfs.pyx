"""A rootfs that is being written, and its directories."""

from libc.errno cimport ENODATA, ENOMEM, EOPNOTSUPP, errno
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strlen

from .below cimport Below, copy_metadata, look_below
from .byte_buffer cimport release
from .failure cimport call_failed, failed
from .kept_directories cimport close_directory, keep_directory
from .path_ids cimport PathId, child_id, path_set_add, path_set_free
from .syscalls cimport (
    AT_SYMLINK_NOFOLLOW, ECANCELED, OPEN_DIRECTORY, S_IFCHR, S_IFMT, dup, fgetxattr, fremovexattr, fsetxattr,
    fstatat, mkdirat, openat, stat_result,
)

cdef const char *DEFAULT_ACL = b"system.posix_acl_default"
cdef const char *ACCESS_ACL = b"system.posix_acl_access"
cdef const char *TRUSTED_OPAQUE = b"trusted.overlay.opaque"
cdef const char *USER_OPAQUE = b"user.overlay.opaque"


cdef int rootfs_open(Rootfs *rootfs, int root, PathId root_id) noexcept nogil:
    cdef int fd
    rootfs.newest = rootfs.oldest = rootfs.last = rootfs.lower = -1
    memset(rootfs.buckets, 0xff, sizeof(rootfs.buckets))
    rootfs.directories = <Directory *>calloc(KEPT_OPEN, sizeof(Directory))
    if rootfs.directories == NULL:
        return failed(&rootfs.failure, ENOMEM)
    fd = dup(root)
    if fd < 0:
        return call_failed(&rootfs.failure)
    if keep_directory(rootfs, fd, root_id, root_id) < 0:
        return call_failed(&rootfs.failure)
    rootfs.directories[ROOT].is_pinned = True
    rootfs.directories[ROOT].has_default_acl = fgetxattr(fd, DEFAULT_ACL, NULL, 0) > 0
    return 0


cdef int rootfs_close(Rootfs *rootfs, bint keep_times) noexcept nogil:
    cdef int result = 0
    cdef int index
    for index in range(rootfs.in_use):
        if rootfs.directories[index].fd >= 0 and close_directory(rootfs, index, keep_times) < 0:
            result = -1
    rootfs.in_use = 0
    free(rootfs.directories)
    rootfs.directories = NULL
    free(rootfs.prefix_ids)
    rootfs.prefix_ids = NULL
    release(&rootfs.last_path)
    release(&rootfs.canonical)
    release(&rootfs.rest)
    release(&rootfs.spare)
    release(&rootfs.lower_link)
    path_set_free(&rootfs.brought)
    return result


cdef int find_below(Rootfs *rootfs, const char *name, Below *below) noexcept nogil:
    below.parent = -1
    if rootfs.find_lower == NULL:
        return 0
    if lower_view(rootfs) < 0:
        return -1
    if look_below(
        rootfs.directories[ROOT].fd, rootfs.lower, _opaque_attribute(rootfs), &rootfs.canonical, name, below
    ) < 0:
        return call_failed(&rootfs.failure)
    return 0


cdef int lower_view(Rootfs *rootfs) noexcept nogil:
    if rootfs.lower < 0:
        rootfs.lower = rootfs.find_lower(rootfs.lower_context)
    return rootfs.lower if rootfs.lower >= 0 else failed(&rootfs.failure, ECANCELED)


cdef int copy_directory(Rootfs *rootfs, int source, int directory) noexcept nogil:
    cdef Directory *copy = &rootfs.directories[directory]
    cdef stat_result status
    if copy_metadata(source, copy.fd, &status) < 0:
        return -1
    copy.mode = status.st_mode
    copy.uid = status.st_uid
    copy.gid = status.st_gid
    copy.mtime = status.st_mtim
    copy.changed = True
    copy.has_default_acl = fgetxattr(copy.fd, DEFAULT_ACL, NULL, 0) > 0
    return 0


cdef int open_directory(Rootfs *rootfs, int parent, const char *name) noexcept nogil:
    cdef PathId parent_id = rootfs.directories[parent].id
    cdef int fd = openat(rootfs.directories[parent].fd, name, OPEN_DIRECTORY)
    cdef int opened
    if fd < 0:
        return -1
    opened = keep_directory(rootfs, fd, child_id(parent_id, name, strlen(name)), parent_id)
    if opened >= 0:
        rootfs.directories[opened].has_default_acl = fgetxattr(fd, DEFAULT_ACL, NULL, 0) > 0
    return opened


cdef int make_directory(Rootfs *rootfs, int parent, const char *name, mode_t mode) noexcept nogil:
    cdef bint inherits = rootfs.directories[parent].has_default_acl
    cdef PathId parent_id = rootfs.directories[parent].id
    cdef int fd
    cdef int made
    rootfs.directories[parent].changed = True
    if mkdirat(rootfs.directories[parent].fd, name, mode) < 0:
        return -1
    fd = openat(rootfs.directories[parent].fd, name, OPEN_DIRECTORY)
    if fd < 0:
        return -1
    made = keep_directory(rootfs, fd, child_id(parent_id, name, strlen(name)), parent_id)
    if made < 0:
        return -1
    if inherits:
        if (
            remove_acl(rootfs.directories[made].fd, DEFAULT_ACL) < 0
            or remove_acl(rootfs.directories[made].fd, ACCESS_ACL) < 0
        ):
            return -1
    return made


cdef int remove_acl(int file, const char *attribute) noexcept nogil:
    # -1 with errno; one that is not there is removed already.
    if fremovexattr(file, attribute) < 0 and errno != ENODATA and errno != EOPNOTSUPP:
        return -1
    return 0


cdef void forget_last_path(Rootfs *rootfs) noexcept nogil:
    rootfs.last = -1


cdef int set_opaque(Rootfs *rootfs, int directory) noexcept nogil:
    if fsetxattr(rootfs.directories[directory].fd, _opaque_attribute(rootfs), b"y", 1, 0) < 0:
        return call_failed(&rootfs.failure)
    return 0


cdef inline const char *_opaque_attribute(const Rootfs *rootfs) noexcept nogil:
    return TRUSTED_OPAQUE if rootfs.whiteouts == TRUSTED_OVERLAY else USER_OPAQUE


cdef bint is_whiteout(int directory, const char *name) noexcept nogil:
    cdef stat_result status
    if fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0:
        return False
    return status.st_mode & S_IFMT == S_IFCHR and status.st_rdev == 0


cdef int note_brought(Rootfs *rootfs, int parent, const char *name) noexcept nogil:
    if rootfs.was_empty:
        return 0
    if path_set_add(&rootfs.brought, child_id(rootfs.directories[parent].id, name, strlen(name))) < 0:
        return failed(&rootfs.failure, ENOMEM)
    return 0
