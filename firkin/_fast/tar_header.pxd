# Header blocks of tar archives: ustar (POSIX.1-2001, pax), GNU's and star's deviations.

from .failure cimport Failure

cdef enum:
    BLOCK_SIZE = 512


cdef struct Span:
    const char *data
    size_t size


cdef struct Extent:
    long long offset
    long long length


cdef struct ExtentList:
    Extent *items
    size_t size
    size_t capacity


# Points into the block it was read from. A size is that of the data that follows; a time is in seconds since 1970.
cdef struct TarHeader:
    Span prefix
    Span name
    Span link_name
    char kind
    unsigned int mode
    long long uid
    long long gid
    long long size
    long long mtime
    long long major
    long long minor


cdef int parse_header(const char *block, TarHeader *header, Failure *failure) noexcept nogil
cdef bint is_header_only(char kind) noexcept nogil

# GNU's first sparse format: extents from a header (1 when a block of further ones follows), and from such a block.
cdef int header_extents(const char *block, ExtentList *extents, long long *size, Failure *failure) noexcept nogil
cdef int block_extents(const char *block, ExtentList *extents, Failure *failure) noexcept nogil

cdef int add_extent(ExtentList *extents, long long offset, long long length, Failure *failure) noexcept nogil
cdef bint is_zero_block(const char *block) noexcept nogil
