# A tar archive, entry by entry, from bytes that come in any pieces. No I/O.

from posix.types cimport gid_t, mode_t, uid_t

from .byte_buffer cimport ByteBuffer
from .failure cimport Failure
from .global_pax cimport GlobalPax
from .pax cimport PaxRecords
from .syscalls cimport timespec
from .tar_header cimport ExtentList, Span


# One entry, all headers combined. Names are as they stand in the archive, not yet made safe, with a NUL after their
# end. `kind` is a type flag; that of a sparse file is "0". `size` is that of the file that is to be made.
cdef struct Entry:
    char kind
    mode_t mode
    uid_t uid
    gid_t gid
    timespec mtime
    long long size
    long long major
    long long minor
    Span name
    Span link_name
    bint is_sparse
    const PaxRecords *records


cdef enum Event:
    NEEDS_BYTES = 0
    ENTRY_BEGINS = 1
    ENTRY_DATA = 2
    ENTRY_ENDS = 3


cdef enum State:
    AT_HEADER
    IN_EXTENSION
    IN_OLD_SPARSE_MAP
    IN_SPARSE_MAP
    IN_DATA
    IN_PADDING
    AT_SECOND_ZERO_BLOCK
    AFTER_END


cdef struct Archive:
    Failure *failure
    long long name_limit
    long long header_limit
    # What the events are about; valid until the next one.
    Entry entry
    Span data
    ExtentList extents
    bint is_closed  # by an end mark: two blocks of zero bytes
    # Where it is.
    State state
    ByteBuffer block
    long long data_left
    int padding_left
    bint padding_begun
    # The entry's headers.
    ByteBuffer name
    ByteBuffer link_name
    ByteBuffer pax_text
    ByteBuffer long_name
    ByteBuffer long_link
    ByteBuffer *extension
    bint has_long_name
    bint has_long_link
    PaxRecords records
    GlobalPax globals
    # A sparse map that is within the data: numbers read, numbers there are, and the one that is being read.
    long long map_index
    long long map_size
    long long map_number
    long long map_offset
    int map_digits


# The next event of the bytes, which are moved on; -1 when this is no proper archive.
cdef int next_event(Archive *archive, const char **data, size_t *size) noexcept nogil
# The archive ends here; -1 when it must not.
cdef int end_archive(Archive *archive) noexcept nogil
cdef void free_archive(Archive *archive) noexcept nogil
