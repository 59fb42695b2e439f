"""A tar archive, entry by entry, from bytes that come in any pieces."""

from libc.errno cimport ENOMEM
from libc.stdlib cimport free
from libc.string cimport memchr

from .byte_buffer cimport ByteBuffer, append, assign_text, release
from .failure cimport (
    ENDS_AFTER_EXTENSION, ENDS_IN_DATA, ENDS_IN_HEADER, ENDS_IN_PADDING, ENDS_IN_SPARSE_MAP, GARBAGE_AFTER_END,
    GOES_ON_AFTER_ZEROS, HEADER_TOO_LARGE, ID_NOT_POSSIBLE, MTIME_FIELD, NAME_TOO_LONG, PAX_NOT_A_NUMBER, SIZE_FIELD,
    UID_FIELD, failed, field_refused, number_refused, refused,
)
from .global_pax cimport end_global_header, free_global_pax, inherit_pax
from .pax cimport PaxRecords, clear_pax, free_pax, parse_pax, pax_number, pax_time
from .sparse_maps cimport MAP_IS_WHOLE, begin_old_map, begin_pax_map, check_extents, map_block, old_map_block
from .tar_header cimport BLOCK_SIZE, Span, TarHeader, is_header_only, is_zero_block, parse_header

cdef long long ID_MAX = 0xfffffffe


cdef int next_event(Archive *archive, const char **data, size_t *size) noexcept nogil:
    cdef int event = NEEDS_BYTES
    while event == NEEDS_BYTES:
        if archive.state == IN_DATA:
            return _data_event(archive, data, size)
        if archive.state == IN_PADDING and archive.padding_left == 0:
            archive.state = AT_HEADER
            archive.name.size = 0
        if archive.state == IN_EXTENSION and archive.data_left == 0:
            if _end_extension(archive) < 0:
                return -1
            continue
        if size[0] == 0:
            return NEEDS_BYTES
        if archive.state == IN_PADDING:
            archive.padding_begun = True
            archive.padding_left -= <int>_taken(archive, data, size, archive.padding_left).size
        elif archive.state == IN_EXTENSION:
            event = _extension_bytes(archive, data, size)
        elif archive.state == AFTER_END:
            event = _zeros(archive, data, size)
        else:
            event = _block_bytes(archive, data, size)
    return event


cdef int end_archive(Archive *archive) noexcept nogil:
    # Some writers (umoci 0.4) leave the last padding out together with the end mark: then it is not closed.
    if archive.state == IN_PADDING and archive.padding_begun and archive.padding_left:
        return refused(archive.failure, ENDS_IN_PADDING)
    if archive.state in (IN_DATA, IN_EXTENSION):
        return refused(archive.failure, ENDS_IN_DATA)
    if archive.state in (IN_OLD_SPARSE_MAP, IN_SPARSE_MAP):
        return refused(archive.failure, ENDS_IN_SPARSE_MAP)
    if archive.state != IN_PADDING and archive.block.size:
        return refused(archive.failure, ENDS_IN_HEADER)
    return _check_extended_entry_follows(archive)


cdef void free_archive(Archive *archive) noexcept nogil:
    release(&archive.block)
    release(&archive.name)
    release(&archive.link_name)
    release(&archive.pax_text)
    release(&archive.long_name)
    release(&archive.long_link)
    free_pax(&archive.records)
    free_global_pax(&archive.globals)
    free(archive.extents.items)
    archive.extents.items = NULL


cdef int _check_extended_entry_follows(Archive *archive) noexcept nogil:
    if archive.has_long_name or archive.has_long_link or archive.pax_text.size:
        return refused(archive.failure, ENDS_AFTER_EXTENSION)
    return 0


cdef Span _taken(Archive *archive, const char **data, size_t *size, long long limit) noexcept nogil:
    # At most `limit` of the bytes.
    cdef Span taken = Span(data[0], size[0])
    if <unsigned long long>limit < taken.size:
        taken.size = <size_t>limit
    data[0] += taken.size
    size[0] -= taken.size
    return taken


cdef int _data_event(Archive *archive, const char **data, size_t *size) noexcept nogil:
    if archive.data_left == 0:
        archive.state = IN_PADDING
        return ENTRY_ENDS
    if size[0] == 0:
        return NEEDS_BYTES
    archive.data = _taken(archive, data, size, archive.data_left)
    archive.data_left -= <long long>archive.data.size
    return ENTRY_DATA


cdef int _extension_bytes(Archive *archive, const char **data, size_t *size) noexcept nogil:
    cdef Span taken = _taken(archive, data, size, archive.data_left)
    archive.data_left -= <long long>taken.size
    if append(archive.extension, taken.data, taken.size) < 0:
        return failed(archive.failure, ENOMEM)
    return NEEDS_BYTES


cdef int _end_extension(Archive *archive) noexcept nogil:
    archive.state = IN_PADDING
    if archive.extension == &archive.pax_text:
        return parse_pax(archive.pax_text.data, archive.pax_text.size, &archive.records, archive.failure)
    if archive.extension == &archive.globals.header_text:
        return end_global_header(&archive.globals, archive.header_limit, archive.failure)
    return _cut_at_nul(archive.extension)


cdef int _cut_at_nul(ByteBuffer *text) noexcept nogil:
    cdef const void *end = memchr(text.data, 0, text.size) if text.size else NULL
    if end != NULL:
        text.size = <size_t>(<const char *>end - text.data)
    return 0


cdef int _zeros(Archive *archive, const char **data, size_t *size) noexcept nogil:
    while size[0] >= BLOCK_SIZE and is_zero_block(data[0]):
        _taken(archive, data, size, BLOCK_SIZE)
    while size[0] and data[0][0] == 0:
        _taken(archive, data, size, 1)
    return refused(archive.failure, GARBAGE_AFTER_END) if size[0] else NEEDS_BYTES


cdef int _block_bytes(Archive *archive, const char **data, size_t *size) noexcept nogil:
    # A block at once, straight from the bytes when they have it whole.
    cdef Span taken = _taken(archive, data, size, BLOCK_SIZE - <long long>archive.block.size)
    if taken.size < BLOCK_SIZE:
        if append(&archive.block, taken.data, taken.size) < 0:
            return failed(archive.failure, ENOMEM)
        if archive.block.size < BLOCK_SIZE:
            return NEEDS_BYTES
        taken.data = archive.block.data
    archive.block.size = 0
    if archive.state == AT_HEADER:
        return _header(archive, taken.data)
    if archive.state == IN_OLD_SPARSE_MAP:
        return _map_event(archive, old_map_block(archive, taken.data))
    if archive.state == IN_SPARSE_MAP:
        return _map_event(archive, map_block(archive, taken.data))
    if not is_zero_block(taken.data):
        return refused(archive.failure, GOES_ON_AFTER_ZEROS)
    archive.is_closed = True
    archive.state = AFTER_END
    return _check_extended_entry_follows(archive)


cdef int _header(Archive *archive, const char *block) noexcept nogil:
    cdef TarHeader header
    if is_zero_block(block):
        archive.state = AT_SECOND_ZERO_BLOCK
        return NEEDS_BYTES
    if parse_header(block, &header, archive.failure) < 0:
        return -1
    _begin_data(archive, header.size)
    if header.kind == b"x":
        return _begin_extension(archive, &archive.pax_text)
    if header.kind == b"g":
        return _begin_extension(archive, &archive.globals.header_text)
    if header.kind == b"L":
        archive.has_long_name = True
        return _begin_extension(archive, &archive.long_name)
    if header.kind == b"K":
        archive.has_long_link = True
        return _begin_extension(archive, &archive.long_link)
    return _entry(archive, &header, block)


cdef void _begin_data(Archive *archive, long long size) noexcept nogil:
    archive.data_left = size
    archive.padding_left = <int>(-<unsigned long long>size & (BLOCK_SIZE - 1))
    archive.padding_begun = False


cdef int _begin_extension(Archive *archive, ByteBuffer *extension) noexcept nogil:
    if archive.data_left > archive.header_limit:
        return number_refused(archive.failure, HEADER_TOO_LARGE, archive.header_limit)
    archive.extension = extension
    extension.size = 0
    archive.state = IN_EXTENSION
    return NEEDS_BYTES


cdef int _entry(Archive *archive, const TarHeader *header, const char *block) noexcept nogil:
    cdef Entry *entry = &archive.entry
    cdef PaxRecords *records = &archive.records
    cdef long long size = 0
    if archive.pax_text.size == 0:
        clear_pax(records)
    if archive.globals.has_records and _inherit(archive) < 0:
        return -1
    if _name(archive, header) < 0:
        return failed(archive.failure, ENOMEM)
    if <long long>archive.name.size > archive.name_limit or <long long>archive.link_name.size > archive.name_limit:
        return number_refused(archive.failure, NAME_TOO_LONG, archive.name_limit)
    entry.name = Span(archive.name.data, archive.name.size)
    entry.link_name = Span(archive.link_name.data, archive.link_name.size)
    entry.kind = header.kind
    entry.mode = header.mode
    entry.major = header.major
    entry.minor = header.minor
    entry.records = records
    entry.is_sparse = False
    if records.size.size and not is_header_only(header.kind):
        if pax_number(records.size, &size) < 0:
            return field_refused(archive.failure, PAX_NOT_A_NUMBER, SIZE_FIELD)
        _begin_data(archive, size)
    if _owner_and_time(archive, header) < 0:
        return -1
    if header.kind == b"0" and archive.name.size and archive.name.data[archive.name.size - 1] == b"/":
        # Before POSIX, a directory was a regular file whose name ends in a slash.
        entry.kind = b"5"
    if header.kind == b"S":
        return _map_event(archive, begin_old_map(archive, block))
    if entry.kind == b"0":
        return _map_event(archive, begin_pax_map(archive))
    entry.size = archive.data_left
    return _entry_event(archive)


cdef int _inherit(Archive *archive) noexcept nogil:
    # What holds of an entry is no more than its own header may say.
    if <long long>(archive.pax_text.size + archive.globals.text.size) > archive.header_limit:
        return number_refused(archive.failure, HEADER_TOO_LARGE, archive.header_limit)
    if archive.has_long_name and archive.records.path.data == NULL:
        archive.records.path = Span(archive.long_name.data, archive.long_name.size)
    if archive.has_long_link and archive.records.link_path.data == NULL:
        archive.records.link_path = Span(archive.long_link.data, archive.long_link.size)
    return inherit_pax(&archive.records, &archive.globals.records, archive.failure)


cdef int _name(Archive *archive, const TarHeader *header) noexcept nogil:
    # -1 without memory.
    cdef const PaxRecords *records = &archive.records
    cdef Span name = records.sparse_name if records.sparse_name.size else records.path
    cdef Span link = records.link_path
    if name.size == 0 and archive.has_long_name:
        name = Span(archive.long_name.data, archive.long_name.size)
    if link.size == 0 and archive.has_long_link:
        link = Span(archive.long_link.data, archive.long_link.size)
    if link.size == 0:
        link = header.link_name
    if assign_text(&archive.link_name, link.data, link.size) < 0:
        return -1
    if name.size:
        return assign_text(&archive.name, name.data, name.size)
    archive.name.size = 0
    if header.prefix.size and (
        append(&archive.name, header.prefix.data, header.prefix.size) < 0 or append(&archive.name, b"/", 1) < 0
    ):
        return -1
    if append(&archive.name, header.name.data, header.name.size) < 0 or append(&archive.name, b"\0", 1) < 0:
        return -1
    archive.name.size -= 1
    return 0


cdef int _owner_and_time(Archive *archive, const TarHeader *header) noexcept nogil:
    cdef const PaxRecords *records = &archive.records
    cdef long long uid = header.uid
    cdef long long gid = header.gid
    cdef long long seconds = header.mtime
    cdef long nanoseconds = 0
    if (records.uid.size and pax_number(records.uid, &uid) < 0) or (
        records.gid.size and pax_number(records.gid, &gid) < 0
    ):
        return field_refused(archive.failure, PAX_NOT_A_NUMBER, UID_FIELD)
    if uid > ID_MAX or gid > ID_MAX:
        return refused(archive.failure, ID_NOT_POSSIBLE)
    archive.entry.uid = <unsigned int>uid
    archive.entry.gid = <unsigned int>gid
    if records.mtime.size and pax_time(records.mtime, &seconds, &nanoseconds) < 0:
        return field_refused(archive.failure, PAX_NOT_A_NUMBER, MTIME_FIELD)
    archive.entry.mtime.tv_sec = seconds
    archive.entry.mtime.tv_nsec = nanoseconds
    return 0


cdef inline int _map_event(Archive *archive, int result) noexcept nogil:
    return _entry_event(archive) if result == MAP_IS_WHOLE else result


cdef int _entry_event(Archive *archive) noexcept nogil:
    if archive.entry.is_sparse:
        if check_extents(archive) < 0:
            return -1
        archive.entry.kind = b"0"
    archive.state = IN_DATA
    # What extended headers said was of this entry; their text stays as long as it does.
    archive.has_long_name = archive.has_long_link = False
    archive.pax_text.size = 0
    return ENTRY_BEGINS
