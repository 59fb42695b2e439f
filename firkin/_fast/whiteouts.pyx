"""Whiteouts of a layer (OCI image-spec v1.1, layer.md): applied, or written as overlayfs reads them."""

from libc.errno cimport EEXIST, ELOOP, ENOENT, ENOTDIR, errno
from libc.string cimport strcmp, strlen, strncmp

from .applying cimport Applying, Target
from .below cimport Below, leave_below
from .failure cimport WHITEOUT_OF_NOTHING, call_failed, refused
from .kept_directories cimport open_directory_with
from .path_ids cimport PathId, child_id, path_set_has
from .removal cimport remove_entry, remove_lower_children
from .rootfs cimport (
    ALWAYS, APPLIED, AS_BELOW, MISSING, Making, NEVER, find_below, forget_last_path, open_directory,
    set_opaque,
)
from .syscalls cimport S_IFCHR, mknodat
from .targets cimport is_reserved
from .walking cimport directory_at


cdef int apply_whiteout(Applying *layer) noexcept nogil:
    cdef Target *target = &layer.target
    cdef const char *hidden = target.name + 4
    cdef bint is_opaque = strcmp(target.name, b".wh..wh..opq") == 0
    cdef bint is_applied = layer.rootfs.whiteouts == APPLIED
    cdef Making making = NEVER
    if not is_opaque:
        if strncmp(target.name, b".wh..wh.", 8) == 0:
            return 0
        if hidden[0] == 0 or strcmp(hidden, b".") == 0 or strcmp(hidden, b"..") == 0:
            return refused(&layer.rootfs.failure, WHITEOUT_OF_NOTHING)
    if is_reserved(target):
        return 0
    if layer.rootfs.find_lower != NULL:
        making = AS_BELOW
        forget_last_path(&layer.rootfs)
    elif not is_applied:
        making = ALWAYS
    target.parent = directory_at(&layer.rootfs, target.path.data, target.parent_size, making)
    if target.parent < 0:
        return 0 if target.parent == MISSING else -1
    layer.rootfs.directories[target.parent].changed = True
    if not layer.rootfs.was_empty and (
        _remove_children(layer, target.parent) if is_opaque else _remove_lower(layer, hidden)
    ) < 0:
        return -1
    if is_applied:
        return 0
    return set_opaque(&layer.rootfs, target.parent) if is_opaque else _write_whiteout(layer, hidden)


cdef int _remove_children(Applying *layer, int directory) noexcept nogil:
    return remove_lower_children(
        &layer.rootfs, layer.rootfs.directories[directory].fd, layer.rootfs.directories[directory].id
    )


cdef int _remove_lower(Applying *layer, const char *hidden) noexcept nogil:
    # What this layer brought stays, but for what lower layers have below it.
    cdef int parent = layer.target.parent
    cdef int parent_fd = layer.rootfs.directories[parent].fd
    cdef PathId path = child_id(layer.rootfs.directories[parent].id, hidden, strlen(hidden))
    cdef int directory
    if not path_set_has(&layer.rootfs.brought, path):
        return remove_entry(&layer.rootfs, parent_fd, path, hidden)
    directory = _opened(layer, parent, hidden, path)
    if directory < 0:
        return 0 if errno in (ENOTDIR, ELOOP, ENOENT) else call_failed(&layer.rootfs.failure)
    return _remove_children(layer, directory)


cdef int _opened(Applying *layer, int parent, const char *name, PathId path) noexcept nogil:
    # The directory `name`: -1 with errno.
    cdef int directory = open_directory_with(&layer.rootfs, path)
    return directory if directory >= 0 else open_directory(&layer.rootfs, parent, name)


cdef int _write_whiteout(Applying *layer, const char *hidden) noexcept nogil:
    # For overlayfs: a device 0:0, or, for a directory that this layer brought, the mark of an opaque one. Where
    # there is nothing to hide, the device would be seen.
    cdef int parent = layer.target.parent
    cdef int directory
    cdef Below below
    if layer.rootfs.find_lower != NULL:
        if find_below(&layer.rootfs, hidden, &below) < 0:
            return -1
        if below.parent < 0:
            return 0
        leave_below(&below)
    if mknodat(layer.rootfs.directories[parent].fd, hidden, S_IFCHR, 0) == 0:
        return 0
    if errno != EEXIST:
        return call_failed(&layer.rootfs.failure)
    directory = _opened(
        layer, parent, hidden, child_id(layer.rootfs.directories[parent].id, hidden, strlen(hidden))
    )
    if directory >= 0:
        return set_opaque(&layer.rootfs, directory)
    return 0 if errno == ENOTDIR or errno == ELOOP else call_failed(&layer.rootfs.failure)
