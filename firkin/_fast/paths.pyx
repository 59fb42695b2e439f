# cython: binding=False
"""The path rules, compiled: the twin of `_paths_py.py`, over the same tests."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

cdef enum:
    ID_SIZE = 64
    WORD = 8

# In every byte of a word: all bits but the highest, a slash, a dot.
cdef enum:
    LOW_BITS = 0x7f7f7f7f7f7f7f7f
    SLASHES = 0x2f2f2f2f2f2f2f2f
    DOTS = 0x2e2e2e2e2e2e2e2e

cdef enum:
    ID_BYTE = 1
    FIRST_ID_BYTE = 2

cdef unsigned char[256] _ID_KINDS

cdef tuple _SENTENCES = (
    None,
    "it is empty",
    "it contains NUL",
    "it is the root directory",
    "it is not absolute",
    "it is not relative",
    "it is not normalised: it has an empty, '.' or '..' component",
)


def id_problem(bytes value not None):
    """Say why `value` cannot be an id (1 to 64 of `[A-Za-z0-9_.-]`, the first a letter or digit), or None."""
    cdef const char *text = PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    if size == 0:
        return "it is empty"
    if size > ID_SIZE:
        return "it is longer than 64 characters"
    if not _all_id_bytes(text, size):
        return "it has a character other than letters, digits, '_', '.' and '-'"
    if not _ID_KINDS[<unsigned char>text[0]] & FIRST_ID_BYTE:
        return "its first character is not a letter or digit"
    return None


def guest_path_problem(bytes path not None):
    """Say why `path` cannot be a guest path (absolute, not `/`, normalised), or None."""
    return _SENTENCES[<int>guest_path_rule(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path))]


def relative_path_problem(bytes path not None):
    """Say why `path` cannot name a file below a directory (relative, normalised), or None."""
    return _SENTENCES[<int>relative_path_rule(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path))]


def clean_member_name(bytes name not None):
    """Rewrite a tar member's name relative to the rootfs, as containerd and umoci do.

    Absolute names, `.` and empty components are rewritten inside the rootfs; `a/../b` becomes `b`. The
    rootfs itself is b"". OCI image-spec, layer.md ("Change Types").

    Raises:
        ValueError: the name is empty, contains NUL, or climbs above the rootfs.
    """
    cdef const char *text = PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    cdef Py_ssize_t cleaned_size = 0
    cdef Py_ssize_t start = _beginning(text, size)
    cdef bytes cleaned
    cdef PathProblem problem
    if _is_plain(text + start, size - start):
        return name if start == 0 else PyBytes_FromStringAndSize(text + start, size - start)
    cleaned = PyBytes_FromStringAndSize(NULL, size)
    problem = clean_member(text, size, PyBytes_AS_STRING(cleaned), &cleaned_size)
    if problem == PATH_IS_FINE:
        return cleaned if cleaned_size == size else cleaned[:cleaned_size]
    if problem == PATH_IS_EMPTY:
        raise ValueError("its name is empty")
    if problem == PATH_HAS_NUL:
        raise ValueError("its name contains NUL")
    raise ValueError("its name climbs above the rootfs with '..'")


cdef PathProblem guest_path_rule(const char *path, Py_ssize_t size) noexcept nogil:
    if size > 0 and path[0] == b"/" and _is_plain(path + 1, size - 1):
        return PATH_IS_FINE
    if size == 0:
        return PATH_IS_EMPTY
    if memchr(path, 0, <size_t>size) != NULL:
        return PATH_HAS_NUL
    if path[0] != b"/":
        return PATH_IS_NOT_ABSOLUTE
    if size == 1:
        return PATH_IS_ROOT
    return _component_rule(path + 1, size - 1)


cdef PathProblem relative_path_rule(const char *path, Py_ssize_t size) noexcept nogil:
    if _is_plain(path, size):
        return PATH_IS_FINE
    if size == 0:
        return PATH_IS_EMPTY
    if memchr(path, 0, <size_t>size) != NULL:
        return PATH_HAS_NUL
    if path[0] == b"/":
        return PATH_IS_NOT_RELATIVE
    return _component_rule(path, size)


cdef PathProblem clean_member(
    const char *name, Py_ssize_t size, char *cleaned, Py_ssize_t *cleaned_size
) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t length
    cdef Py_ssize_t used = 0
    start = _beginning(name, size)
    if _is_plain(name + start, size - start):
        cleaned_size[0] = size - start
        memcpy(cleaned, name + start, <size_t>(size - start))
        return PATH_IS_FINE
    start = 0
    if size <= 0:
        return PATH_IS_EMPTY
    if memchr(name, 0, <size_t>size) != NULL:
        return PATH_HAS_NUL
    while start < size:
        length = _component_size(name + start, size - start)
        if _is_parent(name + start, length):
            if used == 0:
                return PATH_CLIMBS
            used = _without_last(cleaned, used)
        elif not _is_nothing(name + start, length):
            if used > 0:
                cleaned[used] = b"/"
                used += 1
            memcpy(cleaned + used, name + start, <size_t>length)
            used += length
        start += length + 1
    cleaned_size[0] = used
    return PATH_IS_FINE


cdef inline Py_ssize_t _beginning(const char *name, Py_ssize_t size) noexcept nogil:
    # How much of a name does not count: a `/` or a `./`, as most have it.
    if size > 0 and name[0] == b"/":
        return 1
    return 2 if size > 1 and name[0] == b"." and name[1] == b"/" else 0


cdef inline bint _is_plain(const char *path, Py_ssize_t size) noexcept nogil:
    # True for most normalised paths: no NUL, and no component that is empty or begins with a dot. Eight bytes at a
    # time; the last eight again in part, for a path that is not a multiple of them.
    cdef Py_ssize_t at = 0
    if size == 0 or path[0] == b"/" or path[0] == b"." or path[size - 1] == b"/":
        return False
    while at + WORD < size:
        if not _is_plain_word(path + at):
            return False
        at += WORD
    if size > WORD:
        return _is_plain_word(path + size - WORD - 1) and path[size - 1] != 0
    for at in range(size):
        if path[at] == 0 or (path[at] == b"/" and (path[at + 1] == b"/" or path[at + 1] == b".")):
            return False
    return True


cdef inline bint _is_plain_word(const char *path) noexcept nogil:
    # Eight bytes, with the ninth known, of which none is NUL, and none a slash before a slash or dot.
    cdef uint64_t these
    cdef uint64_t following
    memcpy(&these, path, WORD)
    memcpy(&following, path + 1, WORD)
    return not (
        _zero_bytes(these)
        | (_zero_bytes(these ^ SLASHES) & (_zero_bytes(following ^ SLASHES) | _zero_bytes(following ^ DOTS)))
    )


cdef inline uint64_t _zero_bytes(uint64_t word) noexcept nogil:
    # The highest bit of every byte that is zero, and of no other.
    return ~(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)


cdef inline PathProblem _component_rule(const char *path, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t length
    while start <= size:  # a slash at the end leaves one more component, the empty one
        length = _component_size(path + start, size - start)
        if _is_nothing(path + start, length) or _is_parent(path + start, length):
            return PATH_IS_NOT_NORMALISED
        start += length + 1
    return PATH_IS_FINE


cdef inline Py_ssize_t _component_size(const char *path, Py_ssize_t size) noexcept nogil:
    cdef const void *slash = memchr(path, b"/", <size_t>size)
    return size if slash == NULL else <const char *>slash - path


cdef inline Py_ssize_t _without_last(const char *path, Py_ssize_t size) noexcept nogil:
    while size > 0 and path[size - 1] != b"/":
        size -= 1
    return size - 1 if size > 0 else 0


cdef inline bint _is_nothing(const char *component, Py_ssize_t size) noexcept nogil:
    return size == 0 or (size == 1 and component[0] == b".")


cdef inline bint _is_parent(const char *component, Py_ssize_t size) noexcept nogil:
    return size == 2 and component[0] == b"." and component[1] == b"."


cdef inline bint _all_id_bytes(const char *text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t index
    cdef unsigned char kinds = ID_BYTE | FIRST_ID_BYTE
    for index in range(size):
        kinds &= _ID_KINDS[<unsigned char>text[index]] | FIRST_ID_BYTE
    return kinds & ID_BYTE != 0


cdef void _fill_id_kinds() noexcept:
    cdef int byte
    for byte in range(256):
        if b"0" <= byte <= b"9" or b"A" <= byte <= b"Z" or b"a" <= byte <= b"z":
            _ID_KINDS[byte] = ID_BYTE | FIRST_ID_BYTE
        elif byte == b"_" or byte == b"." or byte == b"-":
            _ID_KINDS[byte] = ID_BYTE


_fill_id_kinds()
