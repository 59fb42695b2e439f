"""The directories of a rootfs that are open: found by their ids, and closed when others are needed more."""

from libc cimport errno as c_errno
from libc.errno cimport EPERM, errno
from libc.string cimport memset

from .path_ids cimport PathId, same_path
from .rootfs cimport BUCKETS, Directory, KEPT_OPEN, ROOT, Rootfs
from .syscalls cimport close, fstat, futimens, stat_result, timespec


cdef int keep_directory(Rootfs *rootfs, int fd, PathId path, PathId parent) noexcept nogil:
    # Keep an open directory; -1 with errno, and then it is closed.
    cdef stat_result status
    cdef Directory *directory
    cdef int index
    if fstat(fd, &status) < 0:
        return _close_and_fail(fd)
    index = _free_slot(rootfs)
    if index < 0:
        return _close_and_fail(fd)
    directory = &rootfs.directories[index]
    memset(directory, 0, sizeof(Directory))
    directory.id = path
    directory.parent = parent
    directory.fd = fd
    directory.mode = status.st_mode
    directory.uid = status.st_uid
    directory.gid = status.st_gid
    directory.mtime = status.st_mtim
    directory.chained = rootfs.buckets[_bucket(path)]
    rootfs.buckets[_bucket(path)] = index
    _link_newest(rootfs, index)
    return index


cdef int _close_and_fail(int fd) noexcept nogil:
    # -1 with the errno of what failed before.
    cdef int error = errno
    close(fd)
    c_errno.errno = error
    return -1


cdef int _free_slot(Rootfs *rootfs) noexcept nogil:
    # A place for one more open directory: a new one, or that of the one that was used longest ago. -1 with errno.
    cdef int index = rootfs.oldest
    cdef int result
    if rootfs.in_use < KEPT_OPEN:
        rootfs.in_use += 1
        return rootfs.in_use - 1
    while rootfs.directories[index].is_pinned:
        index = rootfs.directories[index].newer
    result = close_directory(rootfs, index, True) if rootfs.directories[index].fd >= 0 else 0
    _unlink(rootfs, index)
    return index if result == 0 else -1


cdef int close_directory(Rootfs *rootfs, int index, bint keep_times) noexcept nogil:
    # Close a directory, with its time given back; -1 with errno.
    cdef Directory *directory = &rootfs.directories[index]
    cdef timespec[2] times
    cdef int result = 0
    if directory.changed and keep_times:
        times[0] = times[1] = directory.mtime
        result = futimens(directory.fd, times)
        if result < 0 and rootfs.is_rootless and errno == EPERM:
            result = 0
    _unchain(rootfs, index)
    if result < 0:
        _close_and_fail(directory.fd)
    else:
        close(directory.fd)
    directory.fd = -1
    if rootfs.last == index:
        rootfs.last = -1
    return result


cdef void forget_directory(Rootfs *rootfs, PathId path) noexcept nogil:
    cdef int index = open_directory_with(rootfs, path)
    if index > ROOT:
        close_directory(rootfs, index, False)
        rootfs.directories[index].is_pinned = False
        _unlink(rootfs, index)
        _link_oldest(rootfs, index)


cdef int open_directory_with(const Rootfs *rootfs, PathId path) noexcept nogil:
    cdef int index = rootfs.buckets[_bucket(path)]
    while index >= 0 and not same_path(rootfs.directories[index].id, path):
        index = rootfs.directories[index].chained
    return index


cdef inline int _bucket(PathId path) noexcept nogil:
    return <int>(path.low & (BUCKETS - 1))


cdef void _unchain(Rootfs *rootfs, int index) noexcept nogil:
    cdef int *link = &rootfs.buckets[_bucket(rootfs.directories[index].id)]
    while link[0] != index:
        link = &rootfs.directories[link[0]].chained
    link[0] = rootfs.directories[index].chained


cdef void touch_directory(Rootfs *rootfs, int index) noexcept nogil:
    if rootfs.newest != index:
        _unlink(rootfs, index)
        _link_newest(rootfs, index)


cdef void _unlink(Rootfs *rootfs, int index) noexcept nogil:
    cdef int older = rootfs.directories[index].older
    cdef int newer = rootfs.directories[index].newer
    if older >= 0:
        rootfs.directories[older].newer = newer
    else:
        rootfs.oldest = newer
    if newer >= 0:
        rootfs.directories[newer].older = older
    else:
        rootfs.newest = older


cdef void _link_newest(Rootfs *rootfs, int index) noexcept nogil:
    rootfs.directories[index].older = rootfs.newest
    rootfs.directories[index].newer = -1
    if rootfs.newest >= 0:
        rootfs.directories[rootfs.newest].newer = index
    else:
        rootfs.oldest = index
    rootfs.newest = index


cdef void _link_oldest(Rootfs *rootfs, int index) noexcept nogil:
    rootfs.directories[index].older = -1
    rootfs.directories[index].newer = rootfs.oldest
    if rootfs.oldest >= 0:
        rootfs.directories[rootfs.oldest].older = index
    else:
        rootfs.newest = index
    rootfs.oldest = index
