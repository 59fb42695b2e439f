# What pax global headers say of every entry that follows them (POSIX.1-2001, pax, "pax Header Block").

from .byte_buffer cimport ByteBuffer
from .failure cimport Failure
from .pax cimport PaxRecords


cdef struct GlobalPax:
    # The text of the global header that is being read.
    ByteBuffer header_text
    # What holds now, and the text that it points into.
    PaxRecords records
    ByteBuffer text
    bint has_records


# The header's text is whole: from now on its records hold, and the earlier ones that it does not name.
cdef int end_global_header(GlobalPax *pax, long long header_limit, Failure *failure) noexcept nogil
# Give an entry's records what they do not say themselves.
cdef int inherit_pax(PaxRecords *records, const PaxRecords *inherited, Failure *failure) noexcept nogil
cdef void free_global_pax(GlobalPax *pax) noexcept nogil
