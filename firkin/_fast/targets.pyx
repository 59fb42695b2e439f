"""The places that entries of a layer name, and what stands there."""

from libc.errno cimport ENOMEM
from libc.string cimport strlen, strncmp

from .applying cimport Applying, Target
from .byte_buffer cimport ByteBuffer, reserve
from .failure cimport NAME_CLIMBS, NAME_HAS_NUL, NAME_IS_EMPTY, failed, refused
from .path_ids cimport child_id
from .paths cimport PATH_CLIMBS, PATH_HAS_NUL, PATH_IS_EMPTY, PathProblem, clean_member
from .removal cimport remove_entry
from .tar_header cimport Span


cdef int clean_name(Applying *layer, Span name, ByteBuffer *path) noexcept nogil:
    cdef Py_ssize_t size = 0
    cdef PathProblem problem
    if reserve(path, name.size + 1) < 0:
        return failed(&layer.rootfs.failure, ENOMEM)
    problem = clean_member(name.data, <Py_ssize_t>name.size, path.data, &size)
    if problem == PATH_IS_EMPTY:
        return refused(&layer.rootfs.failure, NAME_IS_EMPTY)
    if problem == PATH_HAS_NUL:
        return refused(&layer.rootfs.failure, NAME_HAS_NUL)
    if problem == PATH_CLIMBS:
        return refused(&layer.rootfs.failure, NAME_CLIMBS)
    path.data[size] = 0
    path.size = <size_t>size
    return 0


cdef int clear_place(Applying *layer) noexcept nogil:
    cdef int parent = layer.target.parent
    cdef const char *name = layer.target.name
    return remove_entry(
        &layer.rootfs,
        layer.rootfs.directories[parent].fd,
        child_id(layer.rootfs.directories[parent].id, name, strlen(name)),
        name,
    )


cdef size_t parent_size(const ByteBuffer *path) noexcept nogil:
    cdef size_t at = path.size
    while at > 0 and path.data[at - 1] != b"/":
        at -= 1
    return at - 1 if at > 0 else 0


cdef void split_target(Target *target) noexcept nogil:
    target.parent_size = parent_size(&target.path)
    target.name = target.path.data + target.parent_size + (1 if target.parent_size else 0)


cdef bint is_reserved(const Target *target) noexcept nogil:
    cdef const char *path = target.path.data
    cdef size_t at = 0
    while at + 4 <= target.parent_size:
        if (at == 0 or path[at - 1] == b"/") and strncmp(path + at, b".wh.", 4) == 0:
            return True
        at += 1
    return False
