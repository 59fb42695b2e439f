"""The entries of a layer's archive, made in the rootfs."""

from libc.errno cimport EEXIST, EINTR, ELOOP, ENOTDIR, EPERM, errno
from libc.string cimport memchr, strlen, strncmp

from .applying cimport Applying, Target
from .archive cimport ENTRY_BEGINS, ENTRY_DATA, ENTRY_ENDS, Entry, NEEDS_BYTES, next_event
from .failure cimport (
    BAD_DEVICE, BAD_SYMLINK, IS_THE_ROOTFS, TOO_DEEP, TOO_MANY_ENTRIES, UNKNOWN_TYPE, call_failed, number_refused,
    refused,
)
from .hard_links cimport apply_hard_link
from .kept_directories cimport open_directory_with
from .nodes cimport create_file, create_node, dress_directory, dress_file, dress_node, is_device
from .path_ids cimport PathId, child_id
from .rootfs cimport (
    ALWAYS, APPLIED, ROOT, Rootfs, make_directory, note_brought, open_directory, set_opaque,
)
from .syscalls cimport close, ftruncate, pwrite, write
from .tar_header cimport Extent
from .targets cimport clean_name, clear_place, is_reserved, split_target
from .walking cimport directory_at
from .whiteouts cimport apply_whiteout

cdef enum:
    MAJOR_MAX = 0xfff
    MINOR_MAX = 0xfffff


cdef int apply_bytes(Applying *layer, const char *data, size_t size) noexcept nogil:
    cdef int event = NEEDS_BYTES
    cdef int result = 0
    while result == 0:
        event = next_event(&layer.archive, &data, &size)
        if event == ENTRY_BEGINS:
            result = _begin(layer)
        elif event == ENTRY_DATA:
            result = _write(layer) if layer.target.file >= 0 else 0
        elif event == ENTRY_ENDS:
            result = _end(layer)
        else:
            return event
    return result


cdef int _begin(Applying *layer) noexcept nogil:
    if layer.entries == layer.entry_limit:
        return number_refused(&layer.rootfs.failure, TOO_MANY_ENTRIES, layer.entry_limit)
    if clean_name(layer, layer.archive.entry.name, &layer.target.path) < 0 or _check_depth(layer) < 0:
        return -1
    split_target(&layer.target)
    if layer.target.path.size == 0:
        return _apply_root(layer)
    if strncmp(layer.target.name, b".wh.", 4) == 0:
        return apply_whiteout(layer)
    if is_reserved(&layer.target):
        return 0
    layer.target.parent = directory_at(
        &layer.rootfs, layer.target.path.data, layer.target.parent_size, ALWAYS
    )
    if layer.target.parent < 0:
        return -1
    if layer.archive.entry.kind == b"5":
        return _apply_directory(layer)
    layer.rootfs.directories[layer.target.parent].changed = True
    if layer.archive.entry.kind == b"1":
        return apply_hard_link(layer)
    if _create(layer) < 0:
        return -1
    return note_brought(&layer.rootfs, layer.target.parent, layer.target.name)


cdef int _end(Applying *layer) noexcept nogil:
    cdef Target *target = &layer.target
    cdef int file = target.file
    layer.entries += 1
    if file < 0:
        return 0
    if layer.archive.entry.is_sparse and ftruncate(file, layer.archive.entry.size) < 0:
        return call_failed(&layer.rootfs.failure)
    if dress_file(&layer.rootfs, target.parent, file, &layer.archive.entry) < 0:
        return -1
    target.file = -1
    return 0 if close(file) == 0 else call_failed(&layer.rootfs.failure)


cdef int _check_depth(Applying *layer) noexcept nogil:
    cdef const char *path = layer.target.path.data
    cdef long long depth = 1
    cdef size_t at
    for at in range(layer.target.path.size):
        depth += path[at] == b"/"
    if depth > layer.depth_limit:
        return number_refused(&layer.rootfs.failure, TOO_DEEP, layer.depth_limit)
    return 0


cdef int _apply_root(Applying *layer) noexcept nogil:
    if layer.archive.entry.kind != b"5":
        return refused(&layer.rootfs.failure, IS_THE_ROOTFS)
    layer.rootfs.root_is_dressed = True
    return dress_directory(&layer.rootfs, ROOT, &layer.archive.entry, False)


cdef int _apply_directory(Applying *layer) noexcept nogil:
    cdef Target *target = &layer.target
    cdef Rootfs *rootfs = &layer.rootfs
    cdef PathId path = child_id(rootfs.directories[target.parent].id, target.name, strlen(target.name))
    cdef int directory = open_directory_with(rootfs, path)
    cdef bint is_new = False
    cdef bint was_hiding = False
    if note_brought(rootfs, target.parent, target.name) < 0:
        return -1
    if directory < 0:
        directory = make_directory(rootfs, target.parent, target.name, layer.archive.entry.mode & 0o777)
        is_new = directory >= 0
        if directory < 0 and errno == EEXIST:
            directory = open_directory(rootfs, target.parent, target.name)
        if directory < 0 and (errno == ENOTDIR or errno == ELOOP):
            # What stood here, a whiteout or anything else, hides what the layers below have.
            was_hiding = rootfs.whiteouts != APPLIED
            if clear_place(layer) < 0 or note_brought(rootfs, target.parent, target.name) < 0:
                return -1
            directory = make_directory(rootfs, target.parent, target.name, layer.archive.entry.mode & 0o777)
            is_new = True
        if directory < 0:
            return call_failed(&rootfs.failure)
    if dress_directory(rootfs, directory, &layer.archive.entry, is_new) < 0:
        return -1
    return set_opaque(rootfs, directory) if was_hiding else 0


cdef int _create(Applying *layer) noexcept nogil:
    if _check_node(layer) < 0:
        return -1
    if _make(layer) < 0:
        if errno != EEXIST:
            return call_failed(&layer.rootfs.failure)
        if clear_place(layer) < 0:
            return -1
        if _make(layer) < 0:
            return call_failed(&layer.rootfs.failure)
    if layer.target.file >= 0:
        layer.target.extent = 0
        layer.target.written = 0
        return 0
    return dress_node(&layer.rootfs, layer.target.parent, layer.target.name, &layer.archive.entry)


cdef int _check_node(Applying *layer) noexcept nogil:
    cdef const Entry *entry = &layer.archive.entry
    if entry.kind == b"2":
        if entry.link_name.size == 0 or memchr(entry.link_name.data, 0, entry.link_name.size) != NULL:
            return refused(&layer.rootfs.failure, BAD_SYMLINK)
    elif is_device(entry.kind):
        if entry.major > MAJOR_MAX or entry.minor > MINOR_MAX:
            return refused(&layer.rootfs.failure, BAD_DEVICE)
    elif entry.kind != b"0" and entry.kind != b"6":
        return number_refused(&layer.rootfs.failure, UNKNOWN_TYPE, <unsigned char>entry.kind)
    return 0


cdef int _make(Applying *layer) noexcept nogil:
    # -1 with errno.
    cdef Entry *entry = &layer.archive.entry
    cdef int result
    if entry.kind != b"0":
        result = create_node(&layer.rootfs, layer.target.parent, layer.target.name, entry)
        if result == 0 or errno != EPERM or not layer.rootfs.is_rootless or not is_device(entry.kind):
            return result
        # As podman and umoci do without privilege.
        entry.kind = b"0"
        layer.rootfs.replaced_devices += 1
    layer.target.file = create_file(&layer.rootfs, layer.target.parent, layer.target.name, entry)
    return layer.target.file


cdef int _write(Applying *layer) noexcept nogil:
    # The bytes that came, to where they belong.
    cdef const char *data = layer.archive.data.data
    cdef size_t size = layer.archive.data.size
    cdef ssize_t written
    if layer.archive.entry.is_sparse:
        return _write_sparse(layer, data, size)
    while size:
        written = write(layer.target.file, data, size)
        if written < 0:
            if errno == EINTR:
                continue
            return call_failed(&layer.rootfs.failure)
        data += written
        size -= <size_t>written
    return 0


cdef int _write_sparse(Applying *layer, const char *data, size_t size) noexcept nogil:
    cdef Target *target = &layer.target
    cdef Extent *extent
    cdef size_t count
    cdef ssize_t written
    while size:
        extent = &layer.archive.extents.items[target.extent]
        if target.written == extent.length:
            target.extent += 1
            target.written = 0
            continue
        count = size
        if count > <unsigned long long>(extent.length - target.written):
            count = <size_t>(extent.length - target.written)
        written = pwrite(target.file, data, count, extent.offset + target.written)
        if written < 0:
            if errno == EINTR:
                continue
            return call_failed(&layer.rootfs.failure)
        target.written += written
        data += written
        size -= <size_t>written
    return 0
