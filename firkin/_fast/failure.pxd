# What went wrong in a kernel that works without the GIL: put down here, and raised at the edge.

from libc.errno cimport errno


cdef enum Problem:
    NO_PROBLEM = 0
    # Of the archive.
    BAD_CHECKSUM
    NOT_A_NUMBER
    NOT_OCTAL
    IS_NEGATIVE
    TOO_BIG
    PAX_NOT_A_NUMBER
    PAX_MALFORMED
    PAX_NO_EQUALS
    PAX_BAD_ATTRIBUTE
    GLOBAL_SPARSE_MAP
    ID_NOT_POSSIBLE
    SPARSE_MAP_INCOMPLETE
    SPARSE_MAP_DISORDERED
    SPARSE_MAP_MISFIT
    SPARSE_MAP_TOO_LARGE
    ENDS_IN_HEADER
    ENDS_IN_DATA
    ENDS_IN_PADDING
    ENDS_IN_SPARSE_MAP
    ENDS_AFTER_EXTENSION
    GOES_ON_AFTER_ZEROS
    GARBAGE_AFTER_END
    # Of a limit.
    TOO_MANY_ENTRIES
    NAME_TOO_LONG
    HEADER_TOO_LARGE
    GLOBAL_ATTRIBUTES_TOO_LARGE
    TOO_DEEP
    # Of an entry.
    NAME_IS_EMPTY
    NAME_HAS_NUL
    NAME_CLIMBS
    IS_THE_ROOTFS
    WHITEOUT_OF_NOTHING
    NOT_A_DIRECTORY
    TOO_MANY_SYMLINKS
    LINK_TO_ROOTFS
    LINK_TO_MISSING
    LINK_TO_DIRECTORY
    LINK_TO_REPLACED
    BAD_SYMLINK
    BAD_DEVICE
    UNKNOWN_TYPE


cdef enum Field:
    MODE_FIELD
    UID_FIELD
    GID_FIELD
    SIZE_FIELD
    MTIME_FIELD
    CHECKSUM_FIELD
    DEVICE_FIELD
    SPARSE_FIELD


cdef struct Failure:
    Problem problem  # NO_PROBLEM when the kernel refused
    int error        # errno, when it did
    Field field
    long long number


cdef inline int refused(Failure *failure, Problem problem) noexcept nogil:
    failure.problem = problem
    return -1


cdef inline int field_refused(Failure *failure, Problem problem, Field field) noexcept nogil:
    failure.problem = problem
    failure.field = field
    return -1


cdef inline int number_refused(Failure *failure, Problem problem, long long number) noexcept nogil:
    failure.problem = problem
    failure.number = number
    return -1


cdef inline int failed(Failure *failure, int error) noexcept nogil:
    failure.problem = NO_PROBLEM
    failure.error = error
    return -1


cdef inline int call_failed(Failure *failure) noexcept nogil:
    # After a system call that returned -1.
    return failed(failure, errno)
