"""Removing trees of a rootfs, by a walk that needs no recursion and keeps few directories open."""

from libc cimport errno as c_errno
from libc.errno cimport EISDIR, ENOENT, ENOMEM, ENOSYS, EXDEV, errno
from libc.stdlib cimport free, realloc
from libc.string cimport memset, strlen

from .byte_buffer cimport ByteBuffer, append, release
from .failure cimport call_failed, failed
from .kept_directories cimport forget_directory, open_directory_with
from .path_ids cimport PathId, child_id, path_set_discard, path_set_has
from .rootfs cimport Rootfs, forget_last_path
from .syscalls cimport (
    AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, OPEN_DIRECTORY, SYS_getdents64, S_IFDIR, S_IFMT, close, dev_t, directory_record,
    fstat, fstatat, futimens, ino_t, openat, stat_result, syscall, timespec, unlinkat,
)

cdef enum:
    OPEN_DEPTH = 32
    LISTING_SIZE = 32768
    DT_UNKNOWN = 0
    DT_DIRECTORY = 4
    SYS_OPENAT2 = 437  # everywhere
    BENEATH_THIS_MOUNT = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH


# A directory that the walk is in. Its fd is -1 when it was closed because the walk is far below.
cdef struct Frame:
    int fd
    dev_t device
    ino_t inode
    timespec mtime
    PathId path
    bint spares  # what the layer brought
    bint changed
    # Its entries, each a type byte and a name with NUL; and where its own name is, among its parent's.
    size_t names
    size_t next
    size_t own_name


cdef struct Walk:
    Rootfs *rootfs
    Frame *frames
    size_t depth
    size_t capacity
    ByteBuffer names


cdef struct OpenHow:
    unsigned long long flags
    unsigned long long mode
    unsigned long long resolve


cdef int remove_entry(Rootfs *rootfs, int parent, PathId path, const char *name) noexcept nogil:
    cdef int fd
    forget_last_path(rootfs)
    if unlinkat(parent, name, 0) == 0 or errno == ENOENT:
        path_set_discard(&rootfs.brought, path)
        return 0
    if errno != EISDIR:
        return call_failed(&rootfs.failure)
    fd = _opened(parent, name)
    if fd < 0:
        return call_failed(&rootfs.failure)
    if _walk_from(rootfs, fd, path, False) < 0:
        return -1
    _forget(rootfs, path)
    return 0 if unlinkat(parent, name, AT_REMOVEDIR) == 0 else call_failed(&rootfs.failure)


cdef int remove_lower_children(Rootfs *rootfs, int directory, PathId path) noexcept nogil:
    cdef int fd = openat(directory, b".", OPEN_DIRECTORY)
    forget_last_path(rootfs)
    if fd < 0:
        return call_failed(&rootfs.failure)
    return _walk_from(rootfs, fd, path, True)


cdef void _forget(Rootfs *rootfs, PathId path) noexcept nogil:
    path_set_discard(&rootfs.brought, path)
    forget_directory(rootfs, path)


cdef int _walk_from(Rootfs *rootfs, int fd, PathId path, bint spares) noexcept nogil:
    # Empty the directory, which is closed in any case.
    cdef Walk walk
    cdef int result
    memset(&walk, 0, sizeof(Walk))
    walk.rootfs = rootfs
    result = _enter(&walk, fd, path, spares, 0)
    while result == 0 and walk.depth > 0:
        result = _advance(&walk)
    while walk.depth > 0:
        walk.depth -= 1
        if walk.frames[walk.depth].fd >= 0:
            close(walk.frames[walk.depth].fd)
    free(walk.frames)
    release(&walk.names)
    return result


cdef int _advance(Walk *walk) noexcept nogil:
    # One entry further, down or up.
    cdef Frame *frame = &walk.frames[walk.depth - 1]
    cdef Rootfs *rootfs = walk.rootfs
    cdef size_t at = frame.next
    cdef const char *name
    cdef char kind
    cdef PathId path
    cdef bint is_spared
    if at == walk.names.size:
        return _leave(walk)
    kind = walk.names.data[at]
    name = walk.names.data + at + 1
    frame.next = at + 2 + strlen(name)
    path = child_id(frame.path, name, strlen(name))
    is_spared = frame.spares and path_set_has(&rootfs.brought, path)
    if is_spared and not _is_directory(frame.fd, name, kind):
        return 0
    if not is_spared:
        frame.changed = True
        if kind != DT_DIRECTORY:
            if unlinkat(frame.fd, name, 0) == 0 or errno == ENOENT:
                path_set_discard(&rootfs.brought, path)
                return 0
            if errno != EISDIR:
                return call_failed(&rootfs.failure)
    return _enter_below(walk, name, path, is_spared, at + 1)


cdef bint _is_directory(int directory, const char *name, char kind) noexcept nogil:
    cdef stat_result status
    if kind != DT_UNKNOWN:
        return kind == DT_DIRECTORY
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 and status.st_mode & S_IFMT == S_IFDIR


cdef int _enter_below(Walk *walk, const char *name, PathId path, bint spares, size_t own_name) noexcept nogil:
    cdef Frame *frame = &walk.frames[walk.depth - 1]
    cdef int fd = _opened(frame.fd, name)
    if fd < 0:
        return call_failed(&walk.rootfs.failure)
    if walk.depth > OPEN_DEPTH:
        close(frame.fd)
        frame.fd = -1
    return _enter(walk, fd, path, spares, own_name)


cdef int _enter(Walk *walk, int fd, PathId path, bint spares, size_t own_name) noexcept nogil:
    cdef stat_result status
    cdef Frame *frame
    cdef Frame *frames
    if walk.depth == walk.capacity:
        frames = <Frame *>realloc(walk.frames, (walk.capacity + 64) * sizeof(Frame))
        if frames == NULL:
            close(fd)
            return failed(&walk.rootfs.failure, ENOMEM)
        walk.frames = frames
        walk.capacity += 64
    frame = &walk.frames[walk.depth]
    memset(frame, 0, sizeof(Frame))
    walk.depth += 1
    frame.fd = fd
    if fstat(fd, &status) < 0:
        return call_failed(&walk.rootfs.failure)
    frame.device = status.st_dev
    frame.inode = status.st_ino
    frame.mtime = status.st_mtim
    frame.path = path
    frame.spares = spares
    frame.own_name = own_name
    frame.names = frame.next = walk.names.size
    return _list(walk, fd)


cdef int _leave(Walk *walk) noexcept nogil:
    # Up, and remove what was left, if it is to go.
    cdef Frame *frame = &walk.frames[walk.depth - 1]
    cdef Frame *above
    if frame.spares and frame.changed:
        _give_time_back(walk.rootfs, frame)
    if walk.depth == 1:
        close(frame.fd)
        walk.depth = 0
        return 0
    above = &walk.frames[walk.depth - 2]
    if above.fd < 0 and _reopen(frame.fd, above) < 0:
        return call_failed(&walk.rootfs.failure)
    close(frame.fd)
    walk.names.size = frame.names
    walk.depth -= 1
    if frame.spares:
        return 0
    _forget(walk.rootfs, frame.path)
    if unlinkat(above.fd, walk.names.data + frame.own_name, AT_REMOVEDIR) < 0:
        return call_failed(&walk.rootfs.failure)
    return 0


cdef void _give_time_back(const Rootfs *rootfs, const Frame *frame) noexcept nogil:
    # Unless it is given back when the directory is closed. A filesystem that refuses keeps the new time.
    cdef timespec[2] times
    cdef int index = open_directory_with(rootfs, frame.path)
    if index >= 0 and rootfs.directories[index].changed:
        return
    times[0] = times[1] = frame.mtime
    futimens(frame.fd, times)


cdef int _reopen(int below, Frame *frame) noexcept nogil:
    # The directory that the walk came from, and no other: -1 with errno.
    cdef stat_result status
    cdef int fd = openat(below, b"..", OPEN_DIRECTORY)
    if fd < 0:
        return -1
    if fstat(fd, &status) < 0 or status.st_dev != frame.device or status.st_ino != frame.inode:
        close(fd)
        c_errno.errno = EXDEV
        return -1
    frame.fd = fd
    return 0


cdef int _opened(int parent, const char *name) noexcept nogil:
    # -1 with errno: EXDEV for a mount point.
    cdef OpenHow how
    cdef stat_result status
    cdef stat_result parent_status
    cdef int fd
    how.flags = OPEN_DIRECTORY
    how.mode = 0
    how.resolve = BENEATH_THIS_MOUNT
    fd = <int>syscall(SYS_OPENAT2, parent, name, &how, sizeof(OpenHow))
    if fd >= 0 or errno != ENOSYS:
        return fd
    fd = openat(parent, name, OPEN_DIRECTORY)
    if fd < 0:
        return -1
    if fstat(fd, &status) < 0 or fstat(parent, &parent_status) < 0 or status.st_dev != parent_status.st_dev:
        close(fd)
        c_errno.errno = EXDEV
        return -1
    return fd


cdef int _list(Walk *walk, int fd) noexcept nogil:
    # Add the names of a directory to the walk's.
    cdef char[LISTING_SIZE] listing
    cdef directory_record *record
    cdef long size
    cdef long at
    while True:
        size = syscall(SYS_getdents64, fd, listing, LISTING_SIZE)
        if size <= 0:
            return 0 if size == 0 else call_failed(&walk.rootfs.failure)
        at = 0
        while at < size:
            record = <directory_record *>(listing + at)
            at += record.d_reclen
            if not _is_dots(record.d_name) and (
                append(&walk.names, &record.d_type, 1) < 0
                or append(&walk.names, record.d_name, strlen(record.d_name) + 1) < 0
            ):
                return failed(&walk.rootfs.failure, ENOMEM)


cdef inline bint _is_dots(const char *name) noexcept nogil:
    return name[0] == b"." and (name[1] == 0 or (name[1] == b"." and name[2] == 0))
