# cython: binding=False, always_allow_keywords=False
"""The path rules, compiled: the twin of `_paths_py.py`, over the same tests."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcpy

cdef extern from "Python.h":
    PyObject *PyList_GET_ITEM(list values, Py_ssize_t index)
    bint PyBytes_CheckExact(PyObject *value)
    char *bytes_of "PyBytes_AS_STRING"(PyObject *value)
    Py_ssize_t size_of "PyBytes_GET_SIZE"(PyObject *value)

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    typedef uint8_t firkin_bytes __attribute__((vector_size(16)));

    /* Where sixteen bytes, with the seventeenth known, have a NUL, or a slash before a slash or dot. */
    static inline firkin_bytes firkin_odd_bytes(const char *path)
    {
        firkin_bytes these, following;
        memcpy(&these, path, sizeof these);
        memcpy(&following, path + 1, sizeof following);
        /* A dot is a slash but for its lowest bit. */
        return (firkin_bytes)(these == 0) | ((firkin_bytes)(these == '/') & (firkin_bytes)((following | 1) == '/'));
    }

    static inline size_t firkin_lesser(size_t one, size_t other)
    {
        return one < other ? one : other;
    }

    /* How many bytes five windows of sixteen reach over. Names are of all sizes: windows that overlap cost less than a
       branch for each size, which the processor could not foresee. */
    enum { FIRKIN_WINDOWS = 80 };

    /* True for more than sixteen bytes without NUL, and without a component that is empty or begins with a dot. */
    static inline int firkin_is_plain(const char *path, size_t size)
    {
        const size_t last = size - sizeof(firkin_bytes) - 1;
        const char end = path[size - 1];
        firkin_bytes odd = firkin_odd_bytes(path) | firkin_odd_bytes(path + last);
        uint64_t found[2];
        if (size <= FIRKIN_WINDOWS)
            odd |= firkin_odd_bytes(path + firkin_lesser(16, last)) | firkin_odd_bytes(path + firkin_lesser(32, last))
                | firkin_odd_bytes(path + firkin_lesser(48, last));
        else
            for (size_t at = sizeof odd; at < last; at += sizeof odd)
                odd |= firkin_odd_bytes(path + at);
        memcpy(found, &odd, sizeof found);
        return !(found[0] | found[1] | ((path[0] | 1) == '/') | (end == '/') | (end == 0));
    }

    /* memcpy, which has branches for sizes. */
    static inline void firkin_copy(char *to, const char *from, size_t size)
    {
        firkin_bytes windows[5];
        if (size < sizeof windows[0] || size > FIRKIN_WINDOWS) {
            memcpy(to, from, size);
            return;
        }
        const size_t last = size - sizeof windows[0];
        const size_t starts[5] = {0, firkin_lesser(16, last), firkin_lesser(32, last), firkin_lesser(48, last), last};
    #pragma GCC unroll 5
        for (int index = 0; index < 5; index++)
            memcpy(&windows[index], from + starts[index], sizeof windows[0]);
    #pragma GCC unroll 5
        for (int index = 0; index < 5; index++)
            memcpy(to + starts[index], &windows[index], sizeof windows[0]);
    }

    static const uint8_t firkin_ignored[32] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    };

    /* True when the last `size` of sixteen bytes are all of [A-Za-z0-9_.-]. */
    static inline int firkin_are_id_bytes(const char *sixteen, size_t size)
    {
        firkin_bytes these, ignored, letters, digits;
        uint64_t found[2];
        memcpy(&these, sixteen, sizeof these);
        memcpy(&ignored, firkin_ignored + size, sizeof ignored);
        letters = (these | 0x20) - 'a';
        digits = these - '0';
        these = ignored
            | (firkin_bytes)((letters < 26) | (digits < 10) | (these == '_') | (these == '.') | (these == '-'));
        memcpy(found, &these, sizeof found);
        return (found[0] & found[1]) == UINT64_MAX;
    }
    """
    bint is_plain_long "firkin_is_plain"(const char *path, size_t size)
    void copy_bytes "firkin_copy"(char *to, const char *path, size_t size)
    bint are_id_bytes "firkin_are_id_bytes"(const char *sixteen, size_t size)

cdef enum:
    ID_SIZE = 64
    WORD = 8
    VECTOR = 16

# In every byte of a word: all bits but the highest, a slash, a dot.
cdef enum:
    LOW_BITS = 0x7f7f7f7f7f7f7f7f
    SLASHES = 0x2f2f2f2f2f2f2f2f
    DOTS = 0x2e2e2e2e2e2e2e2e

cdef tuple _SENTENCES = (
    None,
    "it is empty",
    "it contains NUL",
    "it is the root directory",
    "it is not absolute",
    "it is not relative",
    "it is not normalised: it has an empty, '.' or '..' component",
    "its name climbs above the rootfs with '..'",
    "it is longer than 64 characters",
    "it has a character other than letters, digits, '_', '.' and '-'",
    "its first character is not a letter or digit",
)


def id_problem(bytes value not None):
    """Say why `value` cannot be an id (1 to 64 of `[A-Za-z0-9_.-]`, the first a letter or digit), or None."""
    return _SENTENCES[<int>_id_rule(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))]


def id_problems(list values not None):
    """What `id_problem` says of each of them.

    Raises:
        TypeError: one is no bytes.
    """
    cdef Py_ssize_t count = len(values)
    cdef list problems = [None] * count
    cdef PyObject *value
    cdef PathProblem problem
    cdef Py_ssize_t index
    for index in range(count):
        value = PyList_GET_ITEM(values, index)
        if not PyBytes_CheckExact(value):
            raise TypeError("it is no bytes")
        problem = _id_rule(bytes_of(value), size_of(value))
        if problem != PATH_IS_FINE:
            problems[index] = _SENTENCES[<int>problem]
    return problems


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
        return name if start == 0 else _copied(text + start, size - start)
    cleaned = PyBytes_FromStringAndSize(NULL, size)
    problem = clean_member(text, size, PyBytes_AS_STRING(cleaned), &cleaned_size)
    if problem == PATH_IS_FINE:
        return cleaned if cleaned_size == size else cleaned[:cleaned_size]
    if problem == PATH_IS_EMPTY:
        raise ValueError("its name is empty")
    if problem == PATH_HAS_NUL:
        raise ValueError("its name contains NUL")
    raise ValueError("its name climbs above the rootfs with '..'")


cdef inline bytes _copied(const char *text, Py_ssize_t size):
    cdef bytes copy = PyBytes_FromStringAndSize(NULL, size)
    copy_bytes(PyBytes_AS_STRING(copy), text, <size_t>size)
    return copy


cdef PathProblem _id_rule(const char *text, Py_ssize_t size) noexcept nogil:
    if size == 0:
        return PATH_IS_EMPTY
    if size > ID_SIZE:
        return ID_IS_TOO_LONG
    if not _all_id_bytes(text, size):
        return ID_HAS_ANOTHER_BYTE
    return PATH_IS_FINE if _is_id_start(text[0]) else ID_BEGINS_OTHERWISE


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
        copy_bytes(cleaned, name + start, <size_t>(size - start))
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
    # How much of a name does not count: a `/` or a `./`, as most have it. Which of them cannot be foreseen, so there
    # is no branch for it.
    if size == 0:
        return 0
    return (name[0] == b"/") + 2 * ((name[0] == b".") & (name[1] == b"/"))


cdef inline bint _is_plain(const char *path, Py_ssize_t size) noexcept nogil:
    # True for most normalised paths: no NUL, and no component that is empty or begins with a dot. Sixteen or eight
    # bytes at a time; the last ones again in part, for a path that is not a multiple of them.
    cdef Py_ssize_t at = 0
    if size > VECTOR:
        return is_plain_long(path, <size_t>size)
    if size == 0 or path[0] == b"/" or path[0] == b"." or path[size - 1] == b"/":
        return False
    if size > WORD:
        return _is_plain_word(path) and _is_plain_word(path + size - WORD - 1) and path[size - 1] != 0
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
    # Up to sixteen bytes before it are read too, and ignored: of a bytes object that is its head. A branch for every
    # size would cost more.
    while size > VECTOR:
        size -= VECTOR
        if not are_id_bytes(text + size, VECTOR):
            return False
    return are_id_bytes(text + size - VECTOR, <size_t>size)


cdef inline bint _is_id_start(char byte) noexcept nogil:
    return b"0" <= byte <= b"9" or b"A" <= byte <= b"Z" or b"a" <= byte <= b"z"
