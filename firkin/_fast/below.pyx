"""Looking into the layers below a layer, and copying from them what the layer builds on without bringing it.

A layer that is written to a directory of its own may name `a/b` without `a`, or link to a file that it does not
bring: overlayfs then needs a directory like the lower one, or the file itself, in the layer's own directory.
"""

from libc cimport errno as c_errno
from libc.errno cimport EINTR, ELOOP, ENODATA, ENOENT, ENOMEM, ENOTDIR, ENXIO, EOPNOTSUPP, errno
from libc.string cimport memchr, memcpy, strlen, strncmp

from .byte_buffer cimport ByteBuffer, release, reserve
from .syscalls cimport (
    AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY, OPEN_DIRECTORY, S_IFLNK, S_IFMT,
    S_IFREG, SEEK_DATA, SEEK_HOLE, close, dup, fchmod, fchmodat, fchown, fchownat, fgetxattr, flistxattr, fsetxattr,
    fstat, fstatat, ftruncate, futimens, lseek, mknodat, off_t, openat, pread, pwrite, readlinkat, stat_result,
    symlinkat, timespec, utimensat,
)

cdef enum:
    NAME_SIZE = 256
    TARGET_SIZE = 4096
    PIECE_SIZE = 65536


cdef int look_below(
    int root, int lower, const char *opaque, const ByteBuffer *path, const char *name, Below *below
) noexcept nogil:
    cdef int here = dup(root)
    cdef int there = dup(lower)
    cdef int result = -1 if here < 0 or there < 0 else 1
    cdef stat_result status
    cdef size_t start = 0
    below.parent = -1
    while result == 1 and start < path.size:
        result = _go_on(&here, &there, opaque, path, &start)
    if result == 1 and not _is_opaque(here, opaque):
        if fstatat(there, name, &status, AT_SYMLINK_NOFOLLOW) == 0:
            below.parent = there
            below.kind = status.st_mode & S_IFMT
            there = -1
        elif not _is_nothing(errno):
            result = -1
    _close(here)
    _close(there)
    return -1 if result < 0 else 0


cdef int _go_on(int *here, int *there, const char *opaque, const ByteBuffer *path, size_t *start) noexcept nogil:
    # One component further in both: 1, 0 when there is nothing below, or -1 with errno.
    cdef char[NAME_SIZE] name
    cdef const void *slash = memchr(path.data + start[0], b"/", path.size - start[0])
    cdef size_t end = path.size if slash == NULL else <size_t>(<const char *>slash - path.data)
    if end - start[0] >= NAME_SIZE or _is_opaque(here[0], opaque):
        return 0
    memcpy(name, path.data + start[0], end - start[0])
    name[end - start[0]] = 0
    start[0] = end + 1
    if _descend(here, name) < 0:
        return -1
    if _descend(there, name) < 0:
        return 0 if _is_nothing(errno) else -1
    return 1


cdef int _descend(int *directory, const char *name) noexcept nogil:
    cdef int next_one = openat(directory[0], name, OPEN_DIRECTORY)
    if next_one < 0:
        return -1
    close(directory[0])
    directory[0] = next_one
    return 0


cdef inline bint _is_nothing(int error) noexcept nogil:
    return error == ENOENT or error == ENOTDIR or error == ELOOP


cdef inline bint _is_opaque(int directory, const char *opaque) noexcept nogil:
    cdef char[1] value
    return fgetxattr(directory, opaque, value, 1) == 1 and value[0] == b"y"


cdef void _close(int file) noexcept nogil:
    # Keeps errno.
    cdef int error = errno
    if file >= 0:
        close(file)
    c_errno.errno = error


cdef void leave_below(Below *below) noexcept nogil:
    _close(below.parent)
    below.parent = -1


cdef int copy_metadata(int source, int copy, stat_result *status) noexcept nogil:
    if fstat(source, status) < 0 or fchown(copy, status.st_uid, status.st_gid) < 0:
        return -1
    # After the owner, whose change takes set-user-id bits and file capabilities away.
    if fchmod(copy, status.st_mode & 0o7777) < 0:
        return -1
    return _copy_attributes(source, copy)


cdef int _copy_attributes(int source, int copy) noexcept nogil:
    cdef ByteBuffer names = ByteBuffer(NULL, 0, 0)
    cdef ByteBuffer value = ByteBuffer(NULL, 0, 0)
    cdef ssize_t size = flistxattr(source, NULL, 0)
    cdef size_t at = 0
    cdef int result = 0
    if size <= 0:
        return 0 if size == 0 or errno == EOPNOTSUPP else -1
    if reserve(&names, <size_t>size) < 0:
        c_errno.errno = ENOMEM
        return -1
    size = flistxattr(source, names.data, <size_t>size)
    while result == 0 and size > 0 and at < <size_t>size:
        if not _is_of_overlay(names.data + at):
            result = _copy_attribute(source, copy, names.data + at, &value)
        at += strlen(names.data + at) + 1
    release(&names)
    release(&value)
    return -1 if size < 0 else result


cdef inline bint _is_of_overlay(const char *name) noexcept nogil:
    return strncmp(name, b"trusted.overlay.", 16) == 0 or strncmp(name, b"user.overlay.", 13) == 0


cdef int _copy_attribute(int source, int copy, const char *name, ByteBuffer *value) noexcept nogil:
    cdef ssize_t size = fgetxattr(source, name, NULL, 0)
    if size < 0:
        return 0 if errno == ENODATA else -1
    if reserve(value, <size_t>size + 1) < 0:
        c_errno.errno = ENOMEM
        return -1
    size = fgetxattr(source, name, value.data, <size_t>size)
    return -1 if size < 0 else fsetxattr(copy, name, value.data, <size_t>size, 0)


cdef int copy_node(const Below *below, const char *name, int directory) noexcept nogil:
    cdef stat_result status
    cdef timespec[2] times
    if below.kind == S_IFREG:
        return _copy_file(below.parent, name, directory)
    if fstatat(below.parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0:
        return -1
    if below.kind == S_IFLNK:
        if _copy_symlink(below.parent, name, directory) < 0:
            return -1
    elif mknodat(directory, name, status.st_mode, status.st_rdev) < 0:
        return -1
    if fchownat(directory, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) < 0:
        return -1
    if below.kind != S_IFLNK and fchmodat(directory, name, status.st_mode & 0o7777, 0) < 0:
        return -1
    times[0] = times[1] = status.st_mtim
    return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW)


cdef int _copy_symlink(int source, const char *name, int directory) noexcept nogil:
    cdef char[TARGET_SIZE] target
    cdef ssize_t size = readlinkat(source, name, target, TARGET_SIZE - 1)
    if size < 0:
        return -1
    target[size] = 0
    return symlinkat(target, directory, name)


cdef int _copy_file(int source_directory, const char *name, int directory) noexcept nogil:
    cdef int source = openat(source_directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    cdef int copy
    cdef int result = -1
    cdef stat_result status
    cdef timespec[2] times
    if source < 0:
        return -1
    copy = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if copy >= 0 and _copy_content(source, copy) == 0 and copy_metadata(source, copy, &status) == 0:
        times[0] = times[1] = status.st_mtim
        result = futimens(copy, times)
    _close(source)
    _close(copy)
    return result


cdef int _copy_content(int source, int copy) noexcept nogil:
    # With its holes.
    cdef stat_result status
    cdef off_t at = 0
    cdef off_t end
    if fstat(source, &status) < 0 or ftruncate(copy, status.st_size) < 0:
        return -1
    while at < status.st_size:
        at = lseek(source, at, SEEK_DATA)
        if at < 0:
            return 0 if errno == ENXIO else -1
        end = lseek(source, at, SEEK_HOLE)
        if end < 0 or _copy_range(source, copy, at, end) < 0:
            return -1
        at = end
    return 0


cdef int _copy_range(int source, int copy, off_t at, off_t end) noexcept nogil:
    cdef char[PIECE_SIZE] piece
    cdef ssize_t size
    cdef ssize_t written
    while at < end:
        size = pread(source, piece, PIECE_SIZE if end - at > PIECE_SIZE else <size_t>(end - at), at)
        if size == 0:
            return 0
        if size > 0:
            written = pwrite(copy, piece, <size_t>size, at)
            if written >= 0:
                at += written
                continue
        if errno != EINTR:
            return -1
    return 0
