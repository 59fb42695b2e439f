"""Ways through a rootfs that is being written, which never lead out of it.

The kernel is only ever given single components and told not to follow them; symlinks are read and resolved here,
with `..` and absolute targets staying inside (as RESOLVE_IN_ROOT of openat2(2)). So nothing in the rootfs can lead
out of it. A layer may therefore write `bin/ls` through a lower layer's `bin -> usr/bin`.
"""

from libc.errno cimport EINVAL, ELOOP, ENOENT, ENOMEM, ENOTDIR, errno
from libc.stdlib cimport realloc
from libc.string cimport memchr, memcmp, memcpy

from .below cimport Below, leave_below
from .byte_buffer cimport ByteBuffer, append, assign_text, reserve
from .failure cimport NOT_A_DIRECTORY, TOO_MANY_SYMLINKS, call_failed, failed, refused
from .kept_directories cimport open_directory_with, touch_directory
from .path_ids cimport PathId, child_id, path_set_add
from .rootfs cimport (
    ALWAYS, APPLIED, MISSING, Making, NEVER, ROOT, Rootfs, copy_directory, find_below, is_whiteout, make_directory,
    open_directory, set_opaque,
)
from .syscalls cimport (
    OPEN_DIRECTORY, S_IFDIR, S_IFLNK, S_IFMT, close, fchmod, fchown, openat, readlinkat, unlinkat,
)

cdef enum:
    SYMLINKS_LIMIT = 40
    SYMLINK_TARGET_SIZE = 4096
    LEADS_ON = -3  # the component is a symlink


cdef int directory_at(Rootfs *rootfs, const char *path, size_t size, Making making) noexcept nogil:
    cdef int found
    if rootfs.last >= 0 and making <= rootfs.last_making and (
        rootfs.last_path.size == size and memcmp(rootfs.last_path.data, path, size) == 0
    ):
        return rootfs.last
    found = _walk(rootfs, path, size, making)
    if found >= 0:
        if assign_text(&rootfs.last_path, path, size) < 0 or (making == ALWAYS and _note_path(rootfs) < 0):
            return failed(&rootfs.failure, ENOMEM)
        rootfs.last = found
        rootfs.last_making = making
    return found


cdef int _note_path(Rootfs *rootfs) noexcept nogil:
    # The layer brought every directory on the way to what it brought. -1 without memory.
    cdef PathId current = rootfs.directories[ROOT].id
    cdef size_t start = 0
    cdef size_t length
    if rootfs.was_empty:
        return 0
    while start < rootfs.canonical.size:
        length = _component_size(rootfs.canonical.data + start, rootfs.canonical.size - start)
        current = child_id(current, rootfs.canonical.data + start, length)
        if path_set_add(&rootfs.brought, current) < 0:
            return -1
        start += length + 1
    return 0


cdef int _walk(Rootfs *rootfs, const char *path, size_t size, Making making) noexcept nogil:
    cdef size_t known = 0
    cdef size_t start = 0
    cdef size_t length
    cdef int links = 0
    cdef int current = _deepest_open(rootfs, path, size, &known)
    cdef int step
    cdef char *component
    if (
        current < 0
        or assign_text(&rootfs.canonical, path, known) < 0
        or assign_text(&rootfs.rest, path + known, size - known) < 0
    ):
        return failed(&rootfs.failure, ENOMEM)
    while start < rootfs.rest.size:
        component = rootfs.rest.data + start
        length = _component_size(component, rootfs.rest.size - start)
        component[length] = 0  # where a slash was, or the end
        start += length + 1
        if length == 0 or (length == 1 and component[0] == b"."):
            continue
        if length == 2 and component[0] == b"." and component[1] == b".":
            step = _climb(rootfs, current, &start)
        else:
            step = _step(rootfs, current, component, length, making)
        if step == LEADS_ON:
            links += 1
            if links > SYMLINKS_LIMIT:
                return refused(&rootfs.failure, TOO_MANY_SYMLINKS)
            step = _follow(rootfs, current, component, &start)
        if step < 0:
            return step
        current = step
        touch_directory(rootfs, current)
    return current


cdef int _deepest_open(Rootfs *rootfs, const char *path, size_t size, size_t *known) noexcept nogil:
    # The deepest directory on the way that is open, and how much of the path leads to it. Only paths without symlinks
    # have ids that are found here. -1 without memory.
    cdef size_t start = 0
    cdef size_t depth = 0
    cdef size_t length
    cdef int found
    cdef PathId current = rootfs.directories[ROOT].id
    while start < size:
        length = _component_size(path + start, size - start)
        if depth == rootfs.prefix_capacity and _grow_prefixes(rootfs) < 0:
            return -1
        current = child_id(current, path + start, length)
        rootfs.prefix_ids[depth] = current
        depth += 1
        start += length + 1
    known[0] = size
    while depth > 0:
        found = open_directory_with(rootfs, rootfs.prefix_ids[depth - 1])
        if found >= 0:
            touch_directory(rootfs, found)
            return found
        depth -= 1
        known[0] = _without_last(path, known[0])
    return ROOT


cdef int _grow_prefixes(Rootfs *rootfs) noexcept nogil:
    cdef size_t capacity = rootfs.prefix_capacity * 2 if rootfs.prefix_capacity else 64
    cdef PathId *ids = <PathId *>realloc(rootfs.prefix_ids, capacity * sizeof(PathId))
    if ids == NULL:
        return -1
    rootfs.prefix_ids = ids
    rootfs.prefix_capacity = capacity
    return 0


cdef int _step(Rootfs *rootfs, int current, const char *name, size_t length, Making making) noexcept nogil:
    # One component further; LEADS_ON at a symlink.
    cdef int found = open_directory_with(rootfs, child_id(rootfs.directories[current].id, name, length))
    if found < 0:
        found = open_directory(rootfs, current, name)
    if found < 0:
        if errno == ENOENT:
            found = _step_below(rootfs, current, name, making)
            if found < 0:
                return found
        elif errno == ENOTDIR or errno == ELOOP:
            # Also for a symlink, dangling or not, since the kernel was told not to follow.
            if rootfs.whiteouts == APPLIED or not is_whiteout(rootfs.directories[current].fd, name):
                return LEADS_ON
            if making != ALWAYS:
                return MISSING
            found = _imply_over_whiteout(rootfs, current, name)
        else:
            return call_failed(&rootfs.failure)
    if found >= 0 and (_append_component(&rootfs.canonical, name, length)) < 0:
        return failed(&rootfs.failure, ENOMEM)
    return found


cdef int _step_below(Rootfs *rootfs, int current, const char *name, Making making) noexcept nogil:
    # What is not here may be in the layers below: a directory is then made here as it is there, a symlink followed.
    cdef Below below
    cdef int result
    if making == NEVER:
        return MISSING
    if find_below(rootfs, name, &below) < 0:
        return -1
    if below.parent < 0:
        result = _imply(rootfs, current, name) if making == ALWAYS else MISSING
    elif below.kind == S_IFDIR:
        result = _make_as_below(rootfs, current, &below, name)
    elif below.kind == S_IFLNK:
        result = _read_link_below(rootfs, &below, name)
    else:
        result = refused(&rootfs.failure, NOT_A_DIRECTORY)
    leave_below(&below)
    return result


cdef int _make_as_below(Rootfs *rootfs, int parent, const Below *below, const char *name) noexcept nogil:
    cdef int fd = openat(below.parent, name, OPEN_DIRECTORY)
    cdef int made
    if fd < 0:
        return call_failed(&rootfs.failure)
    made = make_directory(rootfs, parent, name, 0o755)
    if made < 0 or copy_directory(rootfs, fd, made) < 0:
        made = call_failed(&rootfs.failure)
    close(fd)
    return made


cdef int _read_link_below(Rootfs *rootfs, const Below *below, const char *name) noexcept nogil:
    cdef ssize_t size
    if reserve(&rootfs.lower_link, SYMLINK_TARGET_SIZE) < 0:
        return failed(&rootfs.failure, ENOMEM)
    size = readlinkat(below.parent, name, rootfs.lower_link.data, SYMLINK_TARGET_SIZE)
    if size < 0:
        return call_failed(&rootfs.failure)
    rootfs.lower_link.size = <size_t>size
    rootfs.is_lower_link = True
    return LEADS_ON


cdef int _append_component(ByteBuffer *path, const char *name, size_t length) noexcept nogil:
    if path.size > 0 and append(path, b"/", 1) < 0:
        return -1
    return append(path, name, length)


cdef int _imply(Rootfs *rootfs, int parent, const char *name) noexcept nogil:
    # A parent that the layer does not mention.
    cdef int made = make_directory(rootfs, parent, name, 0o755)
    if made < 0:
        return call_failed(&rootfs.failure)
    rootfs.implied_parents += 1
    # Exactly 0755 and root's, whatever the umask or a set-group-id parent would make of it.
    if rootfs.directories[made].uid != 0 or rootfs.directories[made].gid != 0:
        if fchown(rootfs.directories[made].fd, 0, 0) < 0 and not rootfs.is_rootless:
            return call_failed(&rootfs.failure)
    if rootfs.directories[made].mode & 0o7777 != 0o755 and fchmod(rootfs.directories[made].fd, 0o755) < 0:
        return call_failed(&rootfs.failure)
    rootfs.directories[made].mode = rootfs.directories[made].mode & S_IFMT | 0o755
    rootfs.directories[made].uid = rootfs.directories[made].gid = 0
    return made


cdef int _imply_over_whiteout(Rootfs *rootfs, int parent, const char *name) noexcept nogil:
    # What lower layers have below this name is hidden, and stays hidden.
    cdef int made
    if unlinkat(rootfs.directories[parent].fd, name, 0) < 0:
        return call_failed(&rootfs.failure)
    made = _imply(rootfs, parent, name)
    return -1 if made < 0 or set_opaque(rootfs, made) < 0 else made


cdef int _follow(Rootfs *rootfs, int current, const char *name, size_t *start) noexcept nogil:
    # Put a symlink's target in its place.
    cdef char[SYMLINK_TARGET_SIZE] target
    cdef ssize_t size
    if rootfs.is_lower_link:
        rootfs.is_lower_link = False
        size = <ssize_t>rootfs.lower_link.size
        memcpy(target, rootfs.lower_link.data, rootfs.lower_link.size)
    else:
        size = readlinkat(rootfs.directories[current].fd, name, target, SYMLINK_TARGET_SIZE)
    if size < 0:
        return refused(&rootfs.failure, NOT_A_DIRECTORY) if errno == EINVAL else call_failed(&rootfs.failure)
    if target[0] == b"/":
        current = ROOT
        rootfs.canonical.size = 0
    return current if _go_on_with(rootfs, target, <size_t>size, start) == 0 else -1


cdef int _climb(Rootfs *rootfs, int current, size_t *start) noexcept nogil:
    # To the parent, where the root is its own.
    cdef int parent = open_directory_with(rootfs, rootfs.directories[current].parent)
    rootfs.canonical.size = _without_last(rootfs.canonical.data, rootfs.canonical.size)
    if parent >= 0:
        return parent
    # It was closed meanwhile: there again, by its path, which has no symlinks.
    if _go_on_with(rootfs, rootfs.canonical.data, rootfs.canonical.size, start) < 0:
        return -1
    rootfs.canonical.size = 0
    return ROOT


cdef int _go_on_with(Rootfs *rootfs, const char *path, size_t size, size_t *start) noexcept nogil:
    # The path, and then what is left from `start`.
    cdef ByteBuffer swapped = rootfs.spare
    cdef size_t left = rootfs.rest.size - start[0] if start[0] < rootfs.rest.size else 0
    swapped.size = 0
    if reserve(&swapped, size + left + 2) < 0:
        return failed(&rootfs.failure, ENOMEM)
    append(&swapped, path, size)
    append(&swapped, b"/", 1)
    append(&swapped, rootfs.rest.data + rootfs.rest.size - left, left)
    rootfs.spare = rootfs.rest
    rootfs.rest = swapped
    start[0] = 0
    return 0


cdef inline size_t _component_size(const char *path, size_t size) noexcept nogil:
    cdef const void *slash = memchr(path, b"/", size)
    return size if slash == NULL else <size_t>(<const char *>slash - path)


cdef inline size_t _without_last(const char *path, size_t size) noexcept nogil:
    while size > 0 and path[size - 1] != b"/":
        size -= 1
    return size - 1 if size > 0 else 0
