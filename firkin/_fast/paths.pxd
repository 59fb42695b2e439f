# The path rules as C functions, for other kernels: no Python object, no allocation, no exception.

cdef enum PathProblem:
    PATH_IS_FINE = 0
    PATH_IS_EMPTY = 1
    PATH_HAS_NUL = 2
    PATH_IS_ROOT = 3
    PATH_IS_NOT_ABSOLUTE = 4
    PATH_IS_NOT_RELATIVE = 5
    PATH_IS_NOT_NORMALISED = 6
    PATH_CLIMBS = 7
    ID_IS_TOO_LONG = 8
    ID_HAS_ANOTHER_BYTE = 9
    ID_BEGINS_OTHERWISE = 10


cdef PathProblem guest_path_rule(const char *path, Py_ssize_t size) noexcept nogil
cdef PathProblem relative_path_rule(const char *path, Py_ssize_t size) noexcept nogil

# The name has a NUL behind it. Writes the cleaned one to `cleaned` (room for `size` bytes), its size to `cleaned_size`.
cdef PathProblem clean_member(const char *name, Py_ssize_t size, char *cleaned, Py_ssize_t *cleaned_size) noexcept nogil
