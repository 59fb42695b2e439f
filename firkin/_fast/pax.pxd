# Records of pax extended headers (POSIX.1-2001, pax), pointing into the header's text.

from .failure cimport Failure
from .tar_header cimport Span


cdef struct Attribute:
    Span name
    Span value
    bint encoded  # libarchive's form: the name in percent code, the value in base 64


# A span without data is a record that is not there.
cdef struct PaxRecords:
    Span path
    Span link_path
    Span size
    Span uid
    Span gid
    Span mtime
    Span sparse_name
    Span sparse_major
    Span sparse_map
    Span sparse_size
    Span sparse_real_size
    # Those of the entry's own header, and after them those that it has from global headers.
    Attribute *attributes
    size_t own_attribute_count
    size_t attribute_count
    size_t attribute_capacity
    Span *sparse_numbers
    size_t sparse_number_count
    size_t sparse_number_capacity


cdef int parse_pax(const char *text, size_t size, PaxRecords *records, Failure *failure) noexcept nogil
cdef void clear_pax(PaxRecords *records) noexcept nogil
cdef void free_pax(PaxRecords *records) noexcept nogil
# One more attribute, as it is.
cdef int add_attribute(PaxRecords *records, Span name, Span value, bint encoded, Failure *failure) noexcept nogil

# A natural number, and a time; -1 when it is none.
cdef int pax_number(Span text, long long *value) noexcept nogil
cdef int pax_time(Span text, long long *seconds, long *nanoseconds) noexcept nogil

# Decode an attribute in libarchive's form; `name` has room for its size, `value` for three quarters of its own and 3.
cdef int decode_attribute(
    const Attribute *attribute, char *name, size_t *name_size, char *value, size_t *value_size
) noexcept nogil
