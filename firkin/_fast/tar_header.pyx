"""Header blocks of tar archives, read without a Python object."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport realloc
from libc.string cimport memchr, memcmp

from .failure cimport (
    BAD_CHECKSUM, CHECKSUM_FIELD, DEVICE_FIELD, Failure, Field, GID_FIELD, IS_NEGATIVE, MODE_FIELD, MTIME_FIELD,
    NOT_A_NUMBER, NOT_OCTAL, SIZE_FIELD, SPARSE_FIELD, TOO_BIG, UID_FIELD, failed, field_refused, refused,
)

cdef enum:
    CHECKSUM_AT = 148
    CHECKSUM_SIZE = 8
    OLD_SPARSE_AT = 386
    OLD_SPARSE_SIZE = 24

cdef long long NUMBER_MAX = 0x7fffffffffffffff


cdef int parse_header(const char *block, TarHeader *header, Failure *failure) noexcept nogil:
    cdef bint is_device
    if _check(block, failure) < 0:
        return -1
    header.kind = block[156]
    if header.kind == 0 or header.kind == b"7":
        header.kind = b"0"
    is_device = header.kind == b"3" or header.kind == b"4"
    header.name = _text(block, 100)
    header.link_name = _text(block + 157, 100)
    header.prefix = Span(NULL, 0)
    if memcmp(block + 257, b"ustar\0", 6) == 0:
        # star keeps times in the last 24 bytes of the prefix and marks itself at the very end.
        header.prefix = _text(block + 345, 131 if memcmp(block + 508, b"tar\0", 4) == 0 else 155)
    cdef long long mode = 0
    if _number(block + 100, 8, &mode, MODE_FIELD, failure) < 0:
        return -1
    header.mode = <unsigned int>(mode & 0o7777)
    header.size = header.major = header.minor = 0
    if (
        _natural(block + 108, 8, &header.uid, UID_FIELD, failure) < 0
        or _natural(block + 116, 8, &header.gid, GID_FIELD, failure) < 0
        or _number(block + 136, 12, &header.mtime, MTIME_FIELD, failure) < 0
    ):
        return -1
    if not is_header_only(header.kind) and _natural(block + 124, 12, &header.size, SIZE_FIELD, failure) < 0:
        return -1
    if is_device and (
        _natural(block + 329, 8, &header.major, DEVICE_FIELD, failure) < 0
        or _natural(block + 337, 8, &header.minor, DEVICE_FIELD, failure) < 0
    ):
        return -1
    return 0


cdef bint is_header_only(char kind) noexcept nogil:
    # Kinds that have no data, whatever their size says.
    return b"1" <= kind <= b"6"


cdef int header_extents(const char *block, ExtentList *extents, long long *size, Failure *failure) noexcept nogil:
    extents.size = 0
    if _old_extents(block + OLD_SPARSE_AT, 4, extents, failure) < 0:
        return -1
    if _natural(block + 483, 12, size, SPARSE_FIELD, failure) < 0:
        return -1
    return block[482] != 0


cdef int block_extents(const char *block, ExtentList *extents, Failure *failure) noexcept nogil:
    if _old_extents(block, 21, extents, failure) < 0:
        return -1
    return block[504] != 0


cdef int _old_extents(const char *entry, int count, ExtentList *extents, Failure *failure) noexcept nogil:
    cdef long long offset = 0
    cdef long long length = 0
    cdef int _index
    for _index in range(count):
        if entry[0] == 0:
            break
        if (
            _natural(entry, 12, &offset, SPARSE_FIELD, failure) < 0
            or _natural(entry + 12, 12, &length, SPARSE_FIELD, failure) < 0
            or add_extent(extents, offset, length, failure) < 0
        ):
            return -1
        entry += OLD_SPARSE_SIZE
    return 0


cdef int add_extent(ExtentList *extents, long long offset, long long length, Failure *failure) noexcept nogil:
    cdef size_t capacity
    cdef Extent *items
    if extents.size == extents.capacity:
        capacity = extents.capacity * 2 if extents.capacity else 16
        items = <Extent *>realloc(extents.items, capacity * sizeof(Extent))
        if items == NULL:
            return failed(failure, ENOMEM)
        extents.items = items
        extents.capacity = capacity
    extents.items[extents.size].offset = offset
    extents.items[extents.size].length = length
    extents.size += 1
    return 0


cdef bint is_zero_block(const char *block) noexcept nogil:
    return block[0] == 0 and memcmp(block, block + 1, BLOCK_SIZE - 1) == 0


cdef inline Span _text(const char *field, size_t size) noexcept nogil:
    cdef const void *end = memchr(field, 0, size)
    return Span(field, size if end == NULL else <size_t>(<const char *>end - field))


cdef int _check(const char *block, Failure *failure) noexcept nogil:
    cdef const unsigned char *plain = <const unsigned char *>block
    cdef const signed char *with_sign = <const signed char *>block
    cdef long long expected = 0
    cdef unsigned int total = 0
    cdef int signed_total = 0
    cdef int index
    if _number(block + CHECKSUM_AT, CHECKSUM_SIZE, &expected, CHECKSUM_FIELD, failure) < 0:
        return -1
    for index in range(BLOCK_SIZE):
        total += plain[index]
    for index in range(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_SIZE):
        total += <unsigned int>b" " - plain[index]
    if total == expected:
        return 0
    # Some old writers summed signed bytes.
    for index in range(BLOCK_SIZE):
        signed_total += with_sign[index]
    for index in range(CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_SIZE):
        signed_total += <int>b" " - with_sign[index]
    return 0 if signed_total == expected else refused(failure, BAD_CHECKSUM)


cdef int _natural(const char *text, int size, long long *value, Field field, Failure *failure) noexcept nogil:
    if _number(text, size, value, field, failure) < 0:
        return -1
    return 0 if value[0] >= 0 else field_refused(failure, IS_NEGATIVE, field)


cdef int _number(const char *text, int size, long long *value, Field field, Failure *failure) noexcept nogil:
    # Octal text, or, with the first bit set, GNU's two's complement in base 256.
    cdef int at = 0
    cdef long long number = 0
    if text[0] & 0x80:
        return _base_256(<const unsigned char *>text, size, value, field, failure)
    while at < size and (text[at] == b" " or text[at] == 0):
        at += 1
    while at < size and b"0" <= text[at] <= b"7":
        number = number * 8 + (text[at] - <char>b"0")
        at += 1
    if at < size and b"8" <= text[at] <= b"9":
        return field_refused(failure, NOT_OCTAL, field)
    while at < size and text[at] == b" ":
        at += 1
    if at < size and text[at] != 0:
        return field_refused(failure, NOT_A_NUMBER, field)
    value[0] = number
    return 0


cdef int _base_256(const unsigned char *text, int size, long long *value, Field field, Failure *failure) noexcept nogil:
    cdef long long number = text[0] & 0x7f
    cdef int at
    if text[0] & 0x40:
        number -= 0x80
    for at in range(1, size):
        if number > NUMBER_MAX >> 8 or number < -(NUMBER_MAX >> 8):
            return field_refused(failure, TOO_BIG, field)
        number = number * 256 + text[at]
    value[0] = number
    return 0
