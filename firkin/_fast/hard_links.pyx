"""Hard links of a layer, to what it brought or to what the layers below have."""

from libc.errno cimport EEXIST, ENOENT, errno
from libc.string cimport strcmp

from .applying cimport Applying, Target
from .below cimport Below, copy_node, leave_below
from .failure cimport (
    LINK_TO_DIRECTORY, LINK_TO_MISSING, LINK_TO_REPLACED, LINK_TO_ROOTFS, call_failed, refused,
)
from .rootfs cimport (
    APPLIED, AS_BELOW, MISSING, Making, NEVER, ROOT, Rootfs, find_below, forget_last_path, note_brought,
)
from .syscalls cimport (
    AT_SYMLINK_NOFOLLOW, S_IFCHR, S_IFDIR, S_IFMT, close, dup, fstatat, linkat, stat_result,
)
from .targets cimport clean_name, clear_place, parent_size
from .walking cimport directory_at


cdef int apply_hard_link(Applying *layer) noexcept nogil:
    cdef Target *target = &layer.target
    cdef Rootfs *rootfs = &layer.rootfs
    cdef int source
    cdef int result
    cdef size_t slash
    cdef Making making = NEVER if rootfs.find_lower == NULL else AS_BELOW
    if clean_name(layer, layer.archive.entry.link_name, &target.link_path) < 0:
        return -1
    if target.link_path.size == 0:
        return refused(&rootfs.failure, LINK_TO_ROOTFS)
    slash = parent_size(&target.link_path)
    # Looking for the one directory must not close the other.
    rootfs.directories[target.parent].is_pinned = True
    source = directory_at(rootfs, target.link_path.data, slash, making)
    rootfs.directories[target.parent].is_pinned = target.parent == ROOT
    if source < 0:
        return refused(&rootfs.failure, LINK_TO_MISSING) if source == MISSING else -1
    result = _link(layer, source, target.link_path.data + slash + (1 if slash else 0))
    return result if result < 0 else note_brought(rootfs, target.parent, target.name)


cdef int _link(Applying *layer, int source, const char *source_name) noexcept nogil:
    cdef Target *target = &layer.target
    cdef Rootfs *rootfs = &layer.rootfs
    cdef int source_fd = rootfs.directories[source].fd
    cdef int parent_fd = rootfs.directories[target.parent].fd
    if rootfs.whiteouts != APPLIED and _bring_source(layer, &source, source_name) < 0:
        return -1
    source_fd = rootfs.directories[source].fd
    if linkat(source_fd, source_name, parent_fd, target.name, 0) == 0:
        return 0
    if errno == EEXIST:
        return _link_over(layer, source, source_name)
    if errno == ENOENT:
        return refused(&rootfs.failure, LINK_TO_MISSING)
    return _link_failed(layer, source_fd, source_name)


cdef int _bring_source(Applying *layer, int *source, const char *name) noexcept nogil:
    # A target that only the layers below have is copied from them, to be linked; one that is hidden is missing.
    cdef Target *target = &layer.target
    cdef Rootfs *rootfs = &layer.rootfs
    cdef stat_result status
    cdef Below below
    cdef int result
    if fstatat(rootfs.directories[source[0]].fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0:
        if status.st_mode & S_IFMT == S_IFCHR and status.st_rdev == 0:
            return refused(&rootfs.failure, LINK_TO_MISSING)
        return 0
    if errno != ENOENT:
        return call_failed(&rootfs.failure)
    if rootfs.find_lower == NULL:
        return refused(&rootfs.failure, LINK_TO_MISSING)
    # Once more, so that it is known where its directory really is.
    forget_last_path(rootfs)
    rootfs.directories[target.parent].is_pinned = True
    source[0] = directory_at(rootfs, target.link_path.data, parent_size(&target.link_path), AS_BELOW)
    rootfs.directories[target.parent].is_pinned = target.parent == ROOT
    if source[0] < 0 or find_below(rootfs, name, &below) < 0:
        return refused(&rootfs.failure, LINK_TO_MISSING) if source[0] == MISSING else -1
    if below.parent < 0:
        return refused(&rootfs.failure, LINK_TO_MISSING)
    if below.kind == S_IFDIR:
        result = refused(&rootfs.failure, LINK_TO_DIRECTORY)
    else:
        rootfs.directories[source[0]].changed = True
        result = copy_node(&below, name, rootfs.directories[source[0]].fd)
        if result < 0:
            call_failed(&rootfs.failure)
    leave_below(&below)
    return result


cdef int _link_over(Applying *layer, int source, const char *source_name) noexcept nogil:
    # Something stands in its place, perhaps the target itself, perhaps the directory that the target is in.
    cdef Target *target = &layer.target
    cdef Rootfs *rootfs = &layer.rootfs
    cdef stat_result status
    cdef int kept
    cdef int result = 0
    if fstatat(rootfs.directories[source].fd, source_name, &status, AT_SYMLINK_NOFOLLOW) < 0:
        return refused(&rootfs.failure, LINK_TO_MISSING) if errno == ENOENT else call_failed(&rootfs.failure)
    if status.st_mode & S_IFMT == S_IFDIR:
        return refused(&rootfs.failure, LINK_TO_DIRECTORY)
    if source == target.parent and strcmp(source_name, target.name) == 0:
        return 0
    kept = dup(rootfs.directories[source].fd)
    if kept < 0:
        return call_failed(&rootfs.failure)
    if clear_place(layer) < 0:
        result = -1
    elif linkat(kept, source_name, rootfs.directories[target.parent].fd, target.name, 0) < 0:
        if errno == ENOENT:
            result = refused(&rootfs.failure, LINK_TO_REPLACED)
        else:
            result = _link_failed(layer, kept, source_name)
    close(kept)
    return result


cdef int _link_failed(Applying *layer, int source, const char *source_name) noexcept nogil:
    cdef stat_result status
    call_failed(&layer.rootfs.failure)
    if fstatat(source, source_name, &status, AT_SYMLINK_NOFOLLOW) == 0 and status.st_mode & S_IFMT == S_IFDIR:
        return refused(&layer.rootfs.failure, LINK_TO_DIRECTORY)
    return -1
