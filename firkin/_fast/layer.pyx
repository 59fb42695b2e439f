"""A layer's tar, applied to a rootfs as its bytes come: OCI image-spec v1.1, layer.md.

The bytes go from the caller's buffer to the kernel; names are C strings; no Python object is made for an entry.
"""

import os

from . import refusals

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy, memset
from posix.types cimport mode_t
from posix.unistd cimport getegid, geteuid

from .applying cimport Applying
from .archive cimport end_archive, free_archive
from .byte_buffer cimport release
from .entries cimport apply_bytes
from .failure cimport call_failed
from .path_ids cimport PathId
from .refusals cimport refusal
from .rootfs cimport (
    APPLIED as WHITEOUTS_APPLIED, ROOT, TRUSTED_OVERLAY as WHITEOUTS_TRUSTED, USER_OVERLAY as WHITEOUTS_USER,
    Whiteouts, copy_directory, lower_view, rootfs_close, rootfs_open,
)
from .syscalls cimport close

EntryRefused = refusals.EntryRefused

APPLIED = <int>WHITEOUTS_APPLIED
TRUSTED_OVERLAY = <int>WHITEOUTS_TRUSTED
USER_OVERLAY = <int>WHITEOUTS_USER


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

    cdef Applying _layer
    cdef bint _is_open
    cdef bint _has_failed
    cdef object _lower

    def __cinit__(self):
        memset(&self._layer, 0, sizeof(Applying))
        self._layer.archive.failure = &self._layer.rootfs.failure
        self._layer.target.file = -1

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
        lower=None,
    ):
        cdef bytes secret = os.urandom(sizeof(PathId))
        cdef PathId root_id
        memcpy(&root_id, <const char *>secret, sizeof(PathId))
        self._layer.entry_limit = entries
        self._layer.depth_limit = depth
        self._layer.archive.name_limit = name_bytes
        self._layer.archive.header_limit = header_bytes
        self._layer.rootfs.uid = geteuid()
        self._layer.rootfs.gid = getegid()
        self._layer.rootfs.umask = 0o777
        self._layer.rootfs.is_rootless = rootless
        self._layer.rootfs.whiteouts = <Whiteouts>whiteouts
        self._layer.rootfs.was_empty = _is_empty(root)
        if lower is not None and whiteouts != WHITEOUTS_APPLIED:
            self._lower = lower
            self._layer.rootfs.was_empty = False
            self._layer.rootfs.find_lower = _lower_of
            self._layer.rootfs.lower_context = <void *>self
        self._is_open = True
        if rootfs_open(&self._layer.rootfs, root, root_id) < 0:
            raise self._error()

    def __dealloc__(self):
        self._release()

    def know_umask(self, mode_t umask):
        """Only these bits are taken from the modes of what is made; until it is known, each file is given its mode."""
        self._layer.rootfs.umask = umask

    def feed(self, bytes piece not None):
        """Apply the next bytes of the tar, whatever their number."""
        cdef const char *data = PyBytes_AS_STRING(piece)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(piece)
        cdef int result
        self._expect_open()
        with nogil:
            result = apply_bytes(&self._layer, data, size)
        if result < 0:
            raise self._error()

    def finish(self):
        """The tar ends here: give the directories their times."""
        cdef int result
        self._expect_open()
        with nogil:
            result = end_archive(&self._layer.archive)
            if result == 0 and self._layer.rootfs.find_lower != NULL and not self._layer.rootfs.root_is_dressed:
                result = self._dress_root_as_below()
            if result == 0:
                self._layer.archive.name.size = 0
                self._is_open = False
                result = rootfs_close(&self._layer.rootfs, True)
                if result < 0:
                    call_failed(&self._layer.rootfs.failure)
        if result < 0:
            raise self._error()

    def close(self):
        """Release what is open and in use; nothing can be fed any more."""
        self._release()

    @property
    def current(self):
        """The name of the entry that is being read or applied; b"" between entries."""
        return self._layer.archive.name.data[: self._layer.archive.name.size] if self._layer.archive.name.size else b""

    @property
    def entries(self):
        """How many entries were applied, whiteouts among them."""
        return self._layer.entries

    @property
    def is_closed(self):
        """True when the archive ended with an end mark: two blocks of zero bytes."""
        return self._layer.archive.is_closed

    @property
    def implied_parents(self):
        """How many directories had to be made that the layer does not mention."""
        return self._layer.rootfs.implied_parents

    @property
    def replaced_devices(self):
        """How many devices became empty files."""
        return self._layer.rootfs.replaced_devices

    @property
    def replaced_owners(self):
        """How many owners could not be given."""
        return self._layer.rootfs.replaced_owners

    @property
    def left_out_attributes(self):
        """How many extended attributes the filesystem or the kernel does not allow."""
        return self._layer.rootfs.left_out_attributes

    cdef int _expect_open(self) except -1:
        if not self._is_open or self._has_failed:
            raise ValueError("it ended, and takes nothing more")
        return 0

    cdef _error(self):
        self._has_failed = True
        return refusal(&self._layer.rootfs.failure)

    cdef int _dress_root_as_below(self) noexcept nogil:
        cdef int lower = lower_view(&self._layer.rootfs)
        if lower < 0:
            return -1
        return 0 if copy_directory(&self._layer.rootfs, lower, ROOT) == 0 else call_failed(&self._layer.rootfs.failure)

    cdef void _release(self) noexcept nogil:
        if self._layer.target.file >= 0:
            close(self._layer.target.file)
            self._layer.target.file = -1
        if self._is_open:
            self._is_open = False
            rootfs_close(&self._layer.rootfs, False)
        free_archive(&self._layer.archive)
        release(&self._layer.target.path)
        release(&self._layer.target.link_path)


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
