"""Pax extended headers, read without a Python object."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memset, strlen

from .failure cimport Failure, PAX_BAD_ATTRIBUTE, PAX_MALFORMED, PAX_NO_EQUALS, failed, refused

cdef enum:
    LENGTH_DIGITS = 19
    NUMBER_DIGITS = 20
    SECONDS_DIGITS = 12

cdef long long LARGEST_TENTH = 0x7fffffffffffffff // 10

cdef const char *SCHILY_XATTR = b"SCHILY.xattr."
cdef const char *LIBARCHIVE_XATTR = b"LIBARCHIVE.xattr."


cdef void clear_pax(PaxRecords *records) noexcept nogil:
    cdef Attribute *attributes = records.attributes
    cdef Span *sparse_numbers = records.sparse_numbers
    cdef size_t attribute_capacity = records.attribute_capacity
    cdef size_t sparse_number_capacity = records.sparse_number_capacity
    memset(records, 0, sizeof(PaxRecords))
    records.attributes = attributes
    records.attribute_capacity = attribute_capacity
    records.sparse_numbers = sparse_numbers
    records.sparse_number_capacity = sparse_number_capacity


cdef void free_pax(PaxRecords *records) noexcept nogil:
    free(records.attributes)
    free(records.sparse_numbers)
    memset(records, 0, sizeof(PaxRecords))


cdef int parse_pax(const char *text, size_t size, PaxRecords *records, Failure *failure) noexcept nogil:
    # Each record is `length keyword=value newline`.
    cdef size_t length
    cdef size_t at
    clear_pax(records)
    while size:
        length = at = 0
        while at < size and at < LENGTH_DIGITS and b"0" <= text[at] <= b"9":
            length = length * 10 + <size_t>(text[at] - <char>b"0")
            at += 1
        if at == 0 or at + 2 > length or length > size or text[at] != b" " or text[length - 1] != b"\n":
            return refused(failure, PAX_MALFORMED)
        if _take(Span(text + at + 1, length - at - 2), records, failure) < 0:
            return -1
        text += length
        size -= length
    records.own_attribute_count = records.attribute_count
    return 0


cdef int _take(Span record, PaxRecords *records, Failure *failure) noexcept nogil:
    cdef const char *equals = <const char *>memchr(record.data, b"=", record.size)
    cdef Span keyword
    cdef Span value
    cdef Span *known
    if equals == NULL or equals == record.data:
        return refused(failure, PAX_NO_EQUALS)
    keyword = Span(record.data, <size_t>(equals - record.data))
    value = Span(equals + 1, record.size - keyword.size - 1)
    if _starts(keyword, SCHILY_XATTR):
        return _take_attribute(keyword, strlen(SCHILY_XATTR), value, False, records, failure)
    if _starts(keyword, LIBARCHIVE_XATTR):
        return _take_attribute(keyword, strlen(LIBARCHIVE_XATTR), value, True, records, failure)
    if _is(keyword, b"GNU.sparse.offset") or _is(keyword, b"GNU.sparse.numbytes"):
        return _add_sparse_number(value, records, failure)
    known = _known(keyword, records)
    if known != NULL:
        known[0] = value
    return 0


cdef Span *_known(Span keyword, PaxRecords *records) noexcept nogil:
    if _is(keyword, b"path"):
        return &records.path
    if _is(keyword, b"linkpath"):
        return &records.link_path
    if _is(keyword, b"size"):
        return &records.size
    if _is(keyword, b"uid"):
        return &records.uid
    if _is(keyword, b"gid"):
        return &records.gid
    if _is(keyword, b"mtime"):
        return &records.mtime
    if not _starts(keyword, b"GNU.sparse."):
        return NULL
    if _is(keyword, b"GNU.sparse.name"):
        return &records.sparse_name
    if _is(keyword, b"GNU.sparse.major"):
        return &records.sparse_major
    if _is(keyword, b"GNU.sparse.map"):
        return &records.sparse_map
    if _is(keyword, b"GNU.sparse.size"):
        return &records.sparse_size
    if _is(keyword, b"GNU.sparse.realsize"):
        return &records.sparse_real_size
    return NULL


cdef inline bint _is(Span keyword, const char *name) noexcept nogil:
    return keyword.size == strlen(name) and memcmp(keyword.data, name, keyword.size) == 0


cdef inline bint _starts(Span keyword, const char *name) noexcept nogil:
    return keyword.size >= strlen(name) and memcmp(keyword.data, name, strlen(name)) == 0


cdef int _take_attribute(
    Span keyword, size_t prefix, Span value, bint encoded, PaxRecords *records, Failure *failure
) noexcept nogil:
    cdef Span name = Span(keyword.data + prefix, keyword.size - prefix)
    if name.size == 0:
        return 0
    if memchr(name.data, 0, name.size) != NULL:
        return refused(failure, PAX_BAD_ATTRIBUTE)
    return add_attribute(records, name, value, encoded, failure)


cdef int add_attribute(PaxRecords *records, Span name, Span value, bint encoded, Failure *failure) noexcept nogil:
    cdef size_t capacity
    cdef Attribute *attributes
    if records.attribute_count == records.attribute_capacity:
        capacity = records.attribute_capacity * 2 if records.attribute_capacity else 8
        attributes = <Attribute *>realloc(records.attributes, capacity * sizeof(Attribute))
        if attributes == NULL:
            return failed(failure, ENOMEM)
        records.attributes = attributes
        records.attribute_capacity = capacity
    records.attributes[records.attribute_count] = Attribute(name, value, encoded)
    records.attribute_count += 1
    return 0


cdef int _add_sparse_number(Span value, PaxRecords *records, Failure *failure) noexcept nogil:
    cdef size_t capacity
    cdef Span *numbers
    if records.sparse_number_count == records.sparse_number_capacity:
        capacity = records.sparse_number_capacity * 2 if records.sparse_number_capacity else 16
        numbers = <Span *>realloc(records.sparse_numbers, capacity * sizeof(Span))
        if numbers == NULL:
            return failed(failure, ENOMEM)
        records.sparse_numbers = numbers
        records.sparse_number_capacity = capacity
    records.sparse_numbers[records.sparse_number_count] = value
    records.sparse_number_count += 1
    return 0


cdef int pax_number(Span text, long long *value) noexcept nogil:
    cdef long long number = 0
    cdef size_t at
    if text.size == 0 or text.size > NUMBER_DIGITS:
        return -1
    for at in range(text.size):
        if not b"0" <= text.data[at] <= b"9" or number >= LARGEST_TENTH:
            return -1
        number = number * 10 + (text.data[at] - <char>b"0")
    value[0] = number
    return 0


cdef int pax_time(Span text, long long *seconds, long *nanoseconds) noexcept nogil:
    # Seconds since 1970 with a sign and a fraction, rounded down to nanoseconds.
    cdef bint is_negative = text.size > 0 and text.data[0] == b"-"
    cdef size_t at = 1 if is_negative else 0
    cdef size_t start = at
    cdef long long whole = 0
    cdef long fraction = 0
    cdef int digits = 0
    if at == text.size:
        return -1
    while at < text.size and text.data[at] != b".":
        if not b"0" <= text.data[at] <= b"9" or at - start >= SECONDS_DIGITS:
            return -1
        whole = whole * 10 + (text.data[at] - <char>b"0")
        at += 1
    at += 1
    while at < text.size:
        if not b"0" <= text.data[at] <= b"9":
            return -1
        if digits < 9:
            fraction = fraction * 10 + (text.data[at] - <char>b"0")
            digits += 1
        at += 1
    while digits < 9:
        fraction *= 10
        digits += 1
    if is_negative and fraction:
        seconds[0] = -whole - 1
        nanoseconds[0] = 1000000000 - fraction
    else:
        seconds[0] = -whole if is_negative else whole
        nanoseconds[0] = fraction
    return 0


cdef int decode_attribute(
    const Attribute *attribute, char *name, size_t *name_size, char *value, size_t *value_size
) noexcept nogil:
    cdef size_t at = 0
    cdef size_t used = 0
    cdef int high
    cdef int low
    while at < attribute.name.size:
        if attribute.name.data[at] == b"%":
            high = _hex_digit(attribute.name.data[at + 1]) if at + 2 < attribute.name.size else -1
            low = _hex_digit(attribute.name.data[at + 2]) if at + 2 < attribute.name.size else -1
            if high < 0 or low < 0 or high + low == 0:
                return -1
            name[used] = <char>(high * 16 + low)
            at += 3
        else:
            name[used] = attribute.name.data[at]
            at += 1
        used += 1
    name_size[0] = used
    return _decode_base_64(attribute.value, value, value_size)


cdef int _decode_base_64(Span text, char *value, size_t *value_size) noexcept nogil:
    # Padded or not: libarchive leaves the padding out.
    cdef unsigned int bits = 0
    cdef int count = 0
    cdef size_t used = 0
    cdef size_t at
    cdef int digit
    while text.size and text.data[text.size - 1] == b"=":
        text.size -= 1
    for at in range(text.size):
        digit = _base_64_digit(text.data[at])
        if digit < 0:
            return -1
        bits = (bits << 6 | <unsigned int>digit) & 0xffffff
        count += 6
        if count >= 8:
            count -= 8
            value[used] = <char>(bits >> count & 0xff)
            used += 1
    value_size[0] = used
    return 0


cdef inline int _hex_digit(char byte) noexcept nogil:
    if b"0" <= byte <= b"9":
        return byte - <char>b"0"
    if b"a" <= byte <= b"f":
        return byte - <char>b"a" + 10
    if b"A" <= byte <= b"F":
        return byte - <char>b"A" + 10
    return -1


cdef inline int _base_64_digit(char byte) noexcept nogil:
    if b"A" <= byte <= b"Z":
        return byte - <char>b"A"
    if b"a" <= byte <= b"z":
        return byte - <char>b"a" + 26
    if b"0" <= byte <= b"9":
        return byte - <char>b"0" + 52
    if byte == b"+":
        return 62
    if byte == b"/":
        return 63
    return -1
