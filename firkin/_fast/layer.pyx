"""A layer's tar, applied to a rootfs as its bytes come: OCI image-spec v1.1, layer.md.

The bytes go from the caller's buffer to the kernel; names are C strings; no Python object is made for an entry.
"""

import os

from . import refusals

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EEXIST, EINTR, ELOOP, ENOENT, ENOMEM, ENOTDIR, EPERM, errno
from libc.string cimport memchr, memcpy, memset, strcmp, strlen, strncmp
from posix.types cimport mode_t
from posix.unistd cimport getegid, geteuid

from .archive cimport (
    Archive, ENTRY_BEGINS, ENTRY_DATA, ENTRY_ENDS, Entry, NEEDS_BYTES, end_archive, free_archive, next_event,
)
from .below cimport Below, copy_node, leave_below
from .byte_buffer cimport ByteBuffer, release, reserve
from .failure cimport (
    BAD_DEVICE, BAD_SYMLINK, IS_THE_ROOTFS, LINK_TO_DIRECTORY, LINK_TO_MISSING, LINK_TO_REPLACED, LINK_TO_ROOTFS,
    NAME_CLIMBS, NAME_HAS_NUL, NAME_IS_EMPTY, TOO_DEEP, TOO_MANY_ENTRIES, UNKNOWN_TYPE, WHITEOUT_OF_NOTHING,
    call_failed, failed, number_refused, refused,
)
from .kept_directories cimport open_directory_with
from .nodes cimport create_file, create_node, dress_directory, dress_file, dress_node, is_device
from .path_ids cimport PathId, child_id, path_set_has
from .paths cimport PATH_CLIMBS, PATH_HAS_NUL, PATH_IS_EMPTY, PathProblem, clean_member
from .refusals cimport refusal
from .removal cimport remove_entry, remove_lower_children
from .rootfs cimport (
    ALWAYS, APPLIED as WHITEOUTS_APPLIED, AS_BELOW, MISSING, Making, NEVER, ROOT, Rootfs,
    TRUSTED_OVERLAY as WHITEOUTS_TRUSTED, USER_OVERLAY as WHITEOUTS_USER, Whiteouts, copy_directory, directory_at,
    find_below, forget_last_path, lower_view, make_directory, note_brought, open_directory, rootfs_close, rootfs_open,
    set_opaque,
)
from .syscalls cimport (
    AT_SYMLINK_NOFOLLOW, S_IFCHR, S_IFDIR, S_IFMT, close, dup, fstatat, ftruncate, linkat, mknodat, pwrite,
    stat_result, write,
)
from .tar_header cimport Extent, Span

EntryRefused = refusals.EntryRefused

APPLIED = <int>WHITEOUTS_APPLIED
TRUSTED_OVERLAY = <int>WHITEOUTS_TRUSTED
USER_OVERLAY = <int>WHITEOUTS_USER

cdef enum:
    MAJOR_MAX = 0xfff
    MINOR_MAX = 0xfffff


# The entry that is being applied. Its parent is valid as long as no other directory is looked for.
cdef struct Target:
    ByteBuffer path
    ByteBuffer link_path
    char *name
    size_t parent_size
    int parent
    int file
    size_t extent
    long long written


@cython.final
cdef class LayerWriter:
    """Applies one layer below the open directory `root`; a whiteout removes only what layers below brought.

    When whiteouts are written for overlayfs, `lower` may be called once, without arguments, by the thread that feeds:
    it gives an open directory that shows the layers below, merged, and stays open as long as this does; when it
    raises, the failure is OSError with ECANCELED. What the layer builds on without bringing it is made as it is there.

    `feed` gives it the tar in pieces, `finish` ends it, and `close` must be called in any case. Not to be used
    by two threads at once. Every failure is EntryRefused, or OSError for what the kernel refused; `current` then
    names the entry, b"" for none.
    """

    cdef Rootfs _rootfs
    cdef Archive _archive
    cdef Target _target
    cdef long long _entries
    cdef long long _entry_limit
    cdef long long _depth_limit
    cdef bint _is_open
    cdef bint _has_failed
    cdef object _lower

    def __cinit__(self):
        memset(&self._rootfs, 0, sizeof(Rootfs))
        memset(&self._archive, 0, sizeof(Archive))
        memset(&self._target, 0, sizeof(Target))
        self._archive.failure = &self._rootfs.failure
        self._target.file = -1

    def __init__(
        self,
        int root,
        *,
        long long entries,
        long long name_bytes,
        long long header_bytes,
        long long depth,
        int whiteouts,
        bint rootless,
        mode_t umask,
        lower=None,
    ):
        cdef bytes secret = os.urandom(sizeof(PathId))
        cdef PathId root_id
        memcpy(&root_id, <const char *>secret, sizeof(PathId))
        self._entry_limit = entries
        self._depth_limit = depth
        self._archive.name_limit = name_bytes
        self._archive.header_limit = header_bytes
        self._rootfs.uid = geteuid()
        self._rootfs.gid = getegid()
        self._rootfs.umask = umask
        self._rootfs.is_rootless = rootless
        self._rootfs.whiteouts = <Whiteouts>whiteouts
        self._rootfs.was_empty = _is_empty(root)
        if lower is not None and whiteouts != WHITEOUTS_APPLIED:
            self._lower = lower
            self._rootfs.was_empty = False
            self._rootfs.find_lower = _lower_of
            self._rootfs.lower_context = <void *>self
        self._is_open = True
        if rootfs_open(&self._rootfs, root, root_id) < 0:
            raise self._error()

    def __dealloc__(self):
        self._release()

    def feed(self, bytes piece not None):
        """Apply the next bytes of the tar, whatever their number."""
        cdef const char *data = PyBytes_AS_STRING(piece)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(piece)
        cdef int result
        self._expect_open()
        with nogil:
            result = self._take(data, size)
        if result < 0:
            raise self._error()

    def finish(self):
        """The tar ends here: give the directories their times."""
        cdef int result
        self._expect_open()
        with nogil:
            result = end_archive(&self._archive)
            if result == 0 and self._rootfs.find_lower != NULL and not self._rootfs.root_is_dressed:
                result = self._dress_root_as_below()
            if result == 0:
                self._archive.name.size = 0
                self._is_open = False
                result = rootfs_close(&self._rootfs, True)
                if result < 0:
                    call_failed(&self._rootfs.failure)
        if result < 0:
            raise self._error()

    def close(self):
        """Release what is open and in use; nothing can be fed any more."""
        self._release()

    @property
    def current(self):
        """The name of the entry that is being read or applied; b"" between entries."""
        return self._archive.name.data[: self._archive.name.size] if self._archive.name.size else b""

    @property
    def entries(self):
        """How many entries were applied, whiteouts among them."""
        return self._entries

    @property
    def is_closed(self):
        """True when the archive ended with an end mark: two blocks of zero bytes."""
        return self._archive.is_closed

    @property
    def implied_parents(self):
        """How many directories had to be made that the layer does not mention."""
        return self._rootfs.implied_parents

    @property
    def replaced_devices(self):
        """How many devices became empty files."""
        return self._rootfs.replaced_devices

    @property
    def replaced_owners(self):
        """How many owners could not be given."""
        return self._rootfs.replaced_owners

    @property
    def left_out_attributes(self):
        """How many extended attributes the filesystem or the kernel does not allow."""
        return self._rootfs.left_out_attributes

    cdef int _expect_open(self) except -1:
        if not self._is_open or self._has_failed:
            raise ValueError("it ended, and takes nothing more")
        return 0

    cdef _error(self):
        self._has_failed = True
        return refusal(&self._rootfs.failure)

    cdef int _dress_root_as_below(self) noexcept nogil:
        cdef int lower = lower_view(&self._rootfs)
        if lower < 0:
            return -1
        return 0 if copy_directory(&self._rootfs, lower, ROOT) == 0 else call_failed(&self._rootfs.failure)

    cdef void _release(self) noexcept nogil:
        if self._target.file >= 0:
            close(self._target.file)
            self._target.file = -1
        if self._is_open:
            self._is_open = False
            rootfs_close(&self._rootfs, False)
        free_archive(&self._archive)
        release(&self._target.path)
        release(&self._target.link_path)

    cdef int _take(self, const char *data, size_t size) noexcept nogil:
        cdef int event = NEEDS_BYTES
        cdef int result = 0
        while result == 0:
            event = next_event(&self._archive, &data, &size)
            if event == ENTRY_BEGINS:
                result = self._begin()
            elif event == ENTRY_DATA:
                result = self._write() if self._target.file >= 0 else 0
            elif event == ENTRY_ENDS:
                result = self._end()
            else:
                return event
        return result

    cdef int _begin(self) noexcept nogil:
        if self._entries == self._entry_limit:
            return number_refused(&self._rootfs.failure, TOO_MANY_ENTRIES, self._entry_limit)
        if self._clean(self._archive.entry.name, &self._target.path) < 0 or self._check_depth() < 0:
            return -1
        _split(&self._target)
        if self._target.path.size == 0:
            return self._apply_root()
        if strncmp(self._target.name, b".wh.", 4) == 0:
            return self._apply_whiteout()
        if _is_reserved(self._target.path.data, self._target.parent_size):
            return 0
        self._target.parent = directory_at(
            &self._rootfs, self._target.path.data, self._target.parent_size, ALWAYS
        )
        if self._target.parent < 0:
            return -1
        if self._archive.entry.kind == b"5":
            return self._apply_directory()
        self._rootfs.directories[self._target.parent].changed = True
        if self._archive.entry.kind == b"1":
            return self._apply_hard_link()
        if self._create() < 0:
            return -1
        return note_brought(&self._rootfs, self._target.parent, self._target.name)

    cdef int _end(self) noexcept nogil:
        cdef Target *target = &self._target
        cdef int file = target.file
        self._entries += 1
        if file < 0:
            return 0
        if self._archive.entry.is_sparse and ftruncate(file, self._archive.entry.size) < 0:
            return call_failed(&self._rootfs.failure)
        if dress_file(&self._rootfs, target.parent, file, &self._archive.entry) < 0:
            return -1
        target.file = -1
        return 0 if close(file) == 0 else call_failed(&self._rootfs.failure)

    cdef int _clean(self, Span name, ByteBuffer *path) noexcept nogil:
        # The name relative to the rootfs, with NUL.
        cdef Py_ssize_t size = 0
        cdef PathProblem problem
        if reserve(path, name.size + 1) < 0:
            return failed(&self._rootfs.failure, ENOMEM)
        problem = clean_member(name.data, <Py_ssize_t>name.size, path.data, &size)
        if problem == PATH_IS_EMPTY:
            return refused(&self._rootfs.failure, NAME_IS_EMPTY)
        if problem == PATH_HAS_NUL:
            return refused(&self._rootfs.failure, NAME_HAS_NUL)
        if problem == PATH_CLIMBS:
            return refused(&self._rootfs.failure, NAME_CLIMBS)
        path.data[size] = 0
        path.size = <size_t>size
        return 0

    cdef int _check_depth(self) noexcept nogil:
        cdef const char *path = self._target.path.data
        cdef long long depth = 1
        cdef size_t at
        for at in range(self._target.path.size):
            depth += path[at] == b"/"
        if depth > self._depth_limit:
            return number_refused(&self._rootfs.failure, TOO_DEEP, self._depth_limit)
        return 0

    cdef int _apply_root(self) noexcept nogil:
        if self._archive.entry.kind != b"5":
            return refused(&self._rootfs.failure, IS_THE_ROOTFS)
        self._rootfs.root_is_dressed = True
        return dress_directory(&self._rootfs, ROOT, &self._archive.entry, False)

    cdef int _apply_whiteout(self) noexcept nogil:
        cdef Target *target = &self._target
        cdef const char *hidden = target.name + 4
        cdef bint is_opaque = strcmp(target.name, b".wh..wh..opq") == 0
        cdef bint is_applied = self._rootfs.whiteouts == WHITEOUTS_APPLIED
        cdef Making making = NEVER
        if not is_opaque:
            if strncmp(target.name, b".wh..wh.", 8) == 0:
                return 0
            if hidden[0] == 0 or strcmp(hidden, b".") == 0 or strcmp(hidden, b"..") == 0:
                return refused(&self._rootfs.failure, WHITEOUT_OF_NOTHING)
        if _is_reserved(target.path.data, target.parent_size):
            return 0
        if self._rootfs.find_lower != NULL:
            making = AS_BELOW
            forget_last_path(&self._rootfs)
        elif not is_applied:
            making = ALWAYS
        target.parent = directory_at(&self._rootfs, target.path.data, target.parent_size, making)
        if target.parent < 0:
            return 0 if target.parent == MISSING else -1
        self._rootfs.directories[target.parent].changed = True
        if not self._rootfs.was_empty and (
            self._remove_lower_children(target.parent) if is_opaque else self._remove_lower(hidden)
        ) < 0:
            return -1
        if is_applied:
            return 0
        return set_opaque(&self._rootfs, target.parent) if is_opaque else self._write_whiteout(hidden)

    cdef int _remove_lower_children(self, int directory) noexcept nogil:
        return remove_lower_children(
            &self._rootfs, self._rootfs.directories[directory].fd, self._rootfs.directories[directory].id
        )

    cdef int _remove_lower(self, const char *hidden) noexcept nogil:
        # What this layer brought stays, but for what lower layers have below it.
        cdef int parent = self._target.parent
        cdef int parent_fd = self._rootfs.directories[parent].fd
        cdef PathId path = child_id(self._rootfs.directories[parent].id, hidden, strlen(hidden))
        cdef int directory
        if not path_set_has(&self._rootfs.brought, path):
            return remove_entry(&self._rootfs, parent_fd, path, hidden)
        directory = self._opened(parent, hidden, path)
        if directory < 0:
            return 0 if errno in (ENOTDIR, ELOOP, ENOENT) else call_failed(&self._rootfs.failure)
        return self._remove_lower_children(directory)

    cdef int _opened(self, int parent, const char *name, PathId path) noexcept nogil:
        # The directory `name`: -1 with errno.
        cdef int directory = open_directory_with(&self._rootfs, path)
        return directory if directory >= 0 else open_directory(&self._rootfs, parent, name)

    cdef int _write_whiteout(self, const char *hidden) noexcept nogil:
        # For overlayfs: a device 0:0, or, for a directory that this layer brought, the mark of an opaque one. Where
        # there is nothing to hide, the device would be seen.
        cdef int parent = self._target.parent
        cdef int directory
        cdef Below below
        if self._rootfs.find_lower != NULL:
            if find_below(&self._rootfs, hidden, &below) < 0:
                return -1
            if below.parent < 0:
                return 0
            leave_below(&below)
        if mknodat(self._rootfs.directories[parent].fd, hidden, S_IFCHR, 0) == 0:
            return 0
        if errno != EEXIST:
            return call_failed(&self._rootfs.failure)
        directory = self._opened(
            parent, hidden, child_id(self._rootfs.directories[parent].id, hidden, strlen(hidden))
        )
        if directory >= 0:
            return set_opaque(&self._rootfs, directory)
        return 0 if errno == ENOTDIR or errno == ELOOP else call_failed(&self._rootfs.failure)

    cdef int _apply_directory(self) noexcept nogil:
        cdef Target *target = &self._target
        cdef Rootfs *rootfs = &self._rootfs
        cdef PathId path = child_id(rootfs.directories[target.parent].id, target.name, strlen(target.name))
        cdef int directory = open_directory_with(rootfs, path)
        cdef bint is_new = False
        cdef bint was_hiding = False
        if note_brought(rootfs, target.parent, target.name) < 0:
            return -1
        if directory < 0:
            directory = make_directory(rootfs, target.parent, target.name, self._archive.entry.mode & 0o777)
            is_new = directory >= 0
            if directory < 0 and errno == EEXIST:
                directory = open_directory(rootfs, target.parent, target.name)
            if directory < 0 and (errno == ENOTDIR or errno == ELOOP):
                # What stood here, a whiteout or anything else, hides what the layers below have.
                was_hiding = rootfs.whiteouts != WHITEOUTS_APPLIED
                if self._clear() < 0 or note_brought(rootfs, target.parent, target.name) < 0:
                    return -1
                directory = make_directory(rootfs, target.parent, target.name, self._archive.entry.mode & 0o777)
                is_new = True
            if directory < 0:
                return call_failed(&rootfs.failure)
        if dress_directory(rootfs, directory, &self._archive.entry, is_new) < 0:
            return -1
        return set_opaque(rootfs, directory) if was_hiding else 0

    cdef int _clear(self) noexcept nogil:
        # Remove what stands in the entry's place.
        cdef int parent = self._target.parent
        cdef const char *name = self._target.name
        return remove_entry(
            &self._rootfs,
            self._rootfs.directories[parent].fd,
            child_id(self._rootfs.directories[parent].id, name, strlen(name)),
            name,
        )

    cdef int _create(self) noexcept nogil:
        if self._check_node() < 0:
            return -1
        if self._make() < 0:
            if errno != EEXIST:
                return call_failed(&self._rootfs.failure)
            if self._clear() < 0:
                return -1
            if self._make() < 0:
                return call_failed(&self._rootfs.failure)
        if self._target.file >= 0:
            self._target.extent = 0
            self._target.written = 0
            return 0
        return dress_node(&self._rootfs, self._target.parent, self._target.name, &self._archive.entry)

    cdef int _check_node(self) noexcept nogil:
        cdef const Entry *entry = &self._archive.entry
        if entry.kind == b"2":
            if entry.link_name.size == 0 or memchr(entry.link_name.data, 0, entry.link_name.size) != NULL:
                return refused(&self._rootfs.failure, BAD_SYMLINK)
        elif is_device(entry.kind):
            if entry.major > MAJOR_MAX or entry.minor > MINOR_MAX:
                return refused(&self._rootfs.failure, BAD_DEVICE)
        elif entry.kind != b"0" and entry.kind != b"6":
            return number_refused(&self._rootfs.failure, UNKNOWN_TYPE, <unsigned char>entry.kind)
        return 0

    cdef int _make(self) noexcept nogil:
        # -1 with errno.
        cdef Entry *entry = &self._archive.entry
        cdef int result
        if entry.kind != b"0":
            result = create_node(&self._rootfs, self._target.parent, self._target.name, entry)
            if result == 0 or errno != EPERM or not self._rootfs.is_rootless or not is_device(entry.kind):
                return result
            # As podman and umoci do without privilege.
            entry.kind = b"0"
            self._rootfs.replaced_devices += 1
        self._target.file = create_file(&self._rootfs, self._target.parent, self._target.name, entry)
        return self._target.file

    cdef int _apply_hard_link(self) noexcept nogil:
        cdef Target *target = &self._target
        cdef Rootfs *rootfs = &self._rootfs
        cdef int source
        cdef int result
        cdef size_t slash
        cdef Making making = NEVER if rootfs.find_lower == NULL else AS_BELOW
        if self._clean(self._archive.entry.link_name, &target.link_path) < 0:
            return -1
        if target.link_path.size == 0:
            return refused(&rootfs.failure, LINK_TO_ROOTFS)
        slash = _last_slash(&target.link_path)
        # Looking for the one directory must not close the other.
        rootfs.directories[target.parent].is_pinned = True
        source = directory_at(rootfs, target.link_path.data, slash, making)
        rootfs.directories[target.parent].is_pinned = target.parent == ROOT
        if source < 0:
            return refused(&rootfs.failure, LINK_TO_MISSING) if source == MISSING else -1
        result = self._link(source, target.link_path.data + slash + (1 if slash else 0))
        return result if result < 0 else note_brought(rootfs, target.parent, target.name)

    cdef int _link(self, int source, const char *source_name) noexcept nogil:
        cdef Target *target = &self._target
        cdef Rootfs *rootfs = &self._rootfs
        cdef int source_fd = rootfs.directories[source].fd
        cdef int parent_fd = rootfs.directories[target.parent].fd
        if rootfs.whiteouts != WHITEOUTS_APPLIED and self._bring_source(&source, source_name) < 0:
            return -1
        source_fd = rootfs.directories[source].fd
        if linkat(source_fd, source_name, parent_fd, target.name, 0) == 0:
            return 0
        if errno == EEXIST:
            return self._link_over(source, source_name)
        if errno == ENOENT:
            return refused(&rootfs.failure, LINK_TO_MISSING)
        return self._link_failed(source_fd, source_name)

    cdef int _bring_source(self, int *source, const char *name) noexcept nogil:
        # A target that only the layers below have is copied from them, to be linked; one that is hidden is missing.
        cdef Target *target = &self._target
        cdef Rootfs *rootfs = &self._rootfs
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
        source[0] = directory_at(rootfs, target.link_path.data, _last_slash(&target.link_path), AS_BELOW)
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

    cdef int _link_over(self, int source, const char *source_name) noexcept nogil:
        # Something stands in its place, perhaps the target itself, perhaps the directory that the target is in.
        cdef Target *target = &self._target
        cdef Rootfs *rootfs = &self._rootfs
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
        if self._clear() < 0:
            result = -1
        elif linkat(kept, source_name, rootfs.directories[target.parent].fd, target.name, 0) < 0:
            if errno == ENOENT:
                result = refused(&rootfs.failure, LINK_TO_REPLACED)
            else:
                result = self._link_failed(kept, source_name)
        close(kept)
        return result

    cdef int _link_failed(self, int source, const char *source_name) noexcept nogil:
        cdef stat_result status
        call_failed(&self._rootfs.failure)
        if fstatat(source, source_name, &status, AT_SYMLINK_NOFOLLOW) == 0 and status.st_mode & S_IFMT == S_IFDIR:
            return refused(&self._rootfs.failure, LINK_TO_DIRECTORY)
        return -1

    cdef int _write(self) noexcept nogil:
        # The bytes that came, to where they belong.
        cdef const char *data = self._archive.data.data
        cdef size_t size = self._archive.data.size
        cdef ssize_t written
        if self._archive.entry.is_sparse:
            return self._write_sparse(data, size)
        while size:
            written = write(self._target.file, data, size)
            if written < 0:
                if errno == EINTR:
                    continue
                return call_failed(&self._rootfs.failure)
            data += written
            size -= <size_t>written
        return 0

    cdef int _write_sparse(self, const char *data, size_t size) noexcept nogil:
        cdef Target *target = &self._target
        cdef Extent *extent
        cdef size_t count
        cdef ssize_t written
        while size:
            extent = &self._archive.extents.items[target.extent]
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
                return call_failed(&self._rootfs.failure)
            target.written += written
            data += written
            size -= <size_t>written
        return 0


cdef int _lower_of(void *writer) noexcept nogil:
    # Whatever it raises is its own affair to remember.
    with gil:
        try:
            return (<LayerWriter>writer)._lower()
        except:  # noqa: E722
            return -1


cdef bint _is_empty(int root) except -1:
    # Opened anew, so that it is listed from its beginning.
    cdef int directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    try:
        with os.scandir(directory) as listing:
            return next(listing, None) is None
    finally:
        os.close(directory)


cdef size_t _last_slash(const ByteBuffer *path) noexcept nogil:
    # The size of the path of the parent, 0 for the rootfs.
    cdef size_t at = path.size
    while at > 0 and path.data[at - 1] != b"/":
        at -= 1
    return at - 1 if at > 0 else 0


cdef void _split(Target *target) noexcept nogil:
    target.parent_size = _last_slash(&target.path)
    target.name = target.path.data + target.parent_size + (1 if target.parent_size else 0)


cdef bint _is_reserved(const char *path, size_t size) noexcept nogil:
    # Below a directory whose name only whiteouts may have (aufs kept its own files in such).
    cdef size_t at = 0
    while at + 4 <= size:
        if (at == 0 or path[at - 1] == b"/") and strncmp(path + at, b".wh.", 4) == 0:
            return True
        at += 1
    return False
