"""Sparse maps of files in archives: GNU's old one, and its three in pax records (GNU tar, "Storing Sparse Files")."""

from libc.string cimport memchr

from .archive cimport Archive, IN_OLD_SPARSE_MAP, IN_SPARSE_MAP
from .failure cimport (
    PAX_NOT_A_NUMBER, SIZE_FIELD, SPARSE_FIELD, SPARSE_MAP_DISORDERED, SPARSE_MAP_INCOMPLETE, SPARSE_MAP_MISFIT,
    SPARSE_MAP_TOO_LARGE, field_refused, refused,
)
from .pax cimport PaxRecords, pax_number
from .tar_header cimport BLOCK_SIZE, Extent, Span, add_extent, block_extents, header_extents

cdef enum:
    MAP_DIGITS = 18
    EXTENT_SHIFT = 5  # of the header limit, to bound the number of extents


cdef int check_extents(Archive *archive) noexcept nogil:
    cdef unsigned long long end = 0
    cdef unsigned long long total = 0
    cdef Extent *extent
    cdef size_t index
    for index in range(archive.extents.size):
        extent = &archive.extents.items[index]
        if <unsigned long long>extent.offset < end:
            return refused(archive.failure, SPARSE_MAP_DISORDERED)
        end = <unsigned long long>extent.offset + <unsigned long long>extent.length
        total += <unsigned long long>extent.length
        if end > <unsigned long long>archive.entry.size or total > <unsigned long long>archive.data_left:
            return refused(archive.failure, SPARSE_MAP_MISFIT)
    return 0 if total == <unsigned long long>archive.data_left else refused(archive.failure, SPARSE_MAP_MISFIT)


cdef int begin_old_map(Archive *archive, const char *block) noexcept nogil:
    cdef int goes_on = header_extents(block, &archive.extents, &archive.entry.size, archive.failure)
    if goes_on < 0:
        return -1
    archive.entry.is_sparse = True
    if goes_on:
        archive.state = IN_OLD_SPARSE_MAP
        return MAP_GOES_ON
    return MAP_IS_WHOLE


cdef int old_map_block(Archive *archive, const char *block) noexcept nogil:
    cdef int goes_on = block_extents(block, &archive.extents, archive.failure)
    if goes_on < 0 or _check_map_size(archive) < 0:
        return -1
    return MAP_GOES_ON if goes_on else MAP_IS_WHOLE


cdef int begin_pax_map(Archive *archive) noexcept nogil:
    # A regular file: sparse in one of GNU's three ways, or not.
    cdef const PaxRecords *records = &archive.records
    cdef bint is_within = records.sparse_major.size == 1 and records.sparse_major.data[0] == b"1"
    cdef Span real_size = records.sparse_real_size if records.sparse_real_size.size else records.sparse_size
    if not (
        is_within or records.sparse_map.data != NULL or records.sparse_number_count or records.sparse_size.data != NULL
    ):
        archive.entry.size = archive.data_left
        return MAP_IS_WHOLE
    archive.entry.is_sparse = True
    archive.extents.size = 0
    archive.map_index = archive.map_digits = 0
    archive.map_number = 0
    archive.map_size = -1
    if pax_number(real_size, &archive.entry.size) < 0:
        return field_refused(archive.failure, PAX_NOT_A_NUMBER, SIZE_FIELD)
    if is_within:
        archive.state = IN_SPARSE_MAP
        return _check_map_goes_on(archive)
    if records.sparse_map.data != NULL:
        return _listed_map(archive, records.sparse_map)
    return _recorded_map(archive)


cdef int map_block(Archive *archive, const char *block) noexcept nogil:
    # Lines of decimal numbers: how many extents there are, and then offset and length of each.
    cdef int at
    for at in range(BLOCK_SIZE):
        if block[at] != b"\n":
            if not b"0" <= block[at] <= b"9" or archive.map_digits >= MAP_DIGITS:
                return field_refused(archive.failure, PAX_NOT_A_NUMBER, SPARSE_FIELD)
            archive.map_number = archive.map_number * 10 + (block[at] - <char>b"0")
            archive.map_digits += 1
            continue
        if archive.map_digits == 0:
            return field_refused(archive.failure, PAX_NOT_A_NUMBER, SPARSE_FIELD)
        if archive.map_size < 0:
            archive.map_size = archive.map_number
        elif _add_map_number(archive, archive.map_number) < 0:
            return -1
        archive.map_number = archive.map_digits = 0
        if archive.map_index >> 1 == archive.map_size:
            return MAP_IS_WHOLE
    return _check_map_goes_on(archive)


cdef int _listed_map(Archive *archive, Span numbers) noexcept nogil:
    # Format 0.1: numbers with commas between them.
    cdef const char *comma
    cdef Span number
    while numbers.size:
        comma = <const char *>memchr(numbers.data, b",", numbers.size)
        number = Span(numbers.data, numbers.size if comma == NULL else <size_t>(comma - numbers.data))
        if _map_number(archive, number) < 0:
            return -1
        if comma != NULL and number.size + 1 == numbers.size:
            return refused(archive.failure, SPARSE_MAP_INCOMPLETE)
        number.size += 0 if comma == NULL else 1
        numbers = Span(numbers.data + number.size, numbers.size - number.size)
    return _end_listed_map(archive)


cdef int _recorded_map(Archive *archive) noexcept nogil:
    # Format 0.0: a record for each number.
    cdef size_t index
    for index in range(archive.records.sparse_number_count):
        if _map_number(archive, archive.records.sparse_numbers[index]) < 0:
            return -1
    return _end_listed_map(archive)


cdef int _map_number(Archive *archive, Span text) noexcept nogil:
    cdef long long number = 0
    if pax_number(text, &number) < 0:
        return field_refused(archive.failure, PAX_NOT_A_NUMBER, SPARSE_FIELD)
    return _add_map_number(archive, number)


cdef int _add_map_number(Archive *archive, long long number) noexcept nogil:
    # An offset, then a length, in turn.
    archive.map_index += 1
    if archive.map_index & 1:
        archive.map_offset = number
        return 0
    if add_extent(&archive.extents, archive.map_offset, number, archive.failure) < 0:
        return -1
    return _check_map_size(archive)


cdef int _end_listed_map(Archive *archive) noexcept nogil:
    if archive.map_index & 1:
        return refused(archive.failure, SPARSE_MAP_INCOMPLETE)
    return MAP_IS_WHOLE


cdef int _check_map_goes_on(Archive *archive) noexcept nogil:
    # Format 1.0: the data begins with the map, padded to a block.
    if archive.data_left < BLOCK_SIZE:
        return refused(archive.failure, SPARSE_MAP_INCOMPLETE)
    archive.data_left -= BLOCK_SIZE
    return MAP_GOES_ON


cdef int _check_map_size(Archive *archive) noexcept nogil:
    if <long long>archive.extents.size > archive.header_limit >> EXTENT_SHIFT:
        return refused(archive.failure, SPARSE_MAP_TOO_LARGE)
    return 0
