"""Pax global headers: their records hold for all entries that follow, until another global header changes them.

As POSIX.1-2001 has it: what an entry says itself has the last word, a record without value takes away what an earlier
header said, and a header leaves alone what it does not name. All that is read of an entry's own header is read here as
well (path, linkpath, size, uid, gid, mtime, attributes); only a sparse map cannot be of more than one file.
"""

from libc.errno cimport ENOMEM
from libc.string cimport memcmp, memcpy, memset

from .byte_buffer cimport ByteBuffer, release, reserve
from .failure cimport (
    Failure, GLOBAL_ATTRIBUTES_TOO_LARGE, GLOBAL_SPARSE_MAP, HEADER_TOO_LARGE, failed, number_refused, refused,
)
from .pax cimport Attribute, PaxRecords, add_attribute, free_pax, parse_pax
from .tar_header cimport Span

cdef enum:
    # Of each attribute beside its name and value, as in ext4; and of all of them, which ext4 keeps in a block. Every
    # entry is given them, of whatever size it is itself: more would make a large tree of a small archive.
    ATTRIBUTE_OVERHEAD = 16
    ATTRIBUTES_MAX = 4096


cdef int end_global_header(GlobalPax *pax, long long header_limit, Failure *failure) noexcept nogil:
    cdef PaxRecords changed
    cdef int result
    memset(&changed, 0, sizeof(PaxRecords))
    result = _change(pax, &changed, header_limit, failure)
    # Seldom more than one header an archive has: no memory is kept for the next one.
    release(&pax.header_text)
    free_pax(&changed)
    return result


cdef void free_global_pax(GlobalPax *pax) noexcept nogil:
    release(&pax.header_text)
    release(&pax.text)
    free_pax(&pax.records)
    pax.has_records = False


cdef int inherit_pax(PaxRecords *records, const PaxRecords *inherited, Failure *failure) noexcept nogil:
    cdef const Attribute *attribute
    cdef size_t own_count = records.attribute_count
    cdef size_t index
    _inherit(&records.path, inherited.path)
    _inherit(&records.link_path, inherited.link_path)
    _inherit(&records.size, inherited.size)
    _inherit(&records.uid, inherited.uid)
    _inherit(&records.gid, inherited.gid)
    _inherit(&records.mtime, inherited.mtime)
    for index in range(inherited.attribute_count):
        attribute = &inherited.attributes[index]
        if _is_among(attribute, records.attributes, own_count):
            continue
        if add_attribute(records, attribute.name, attribute.value, attribute.encoded, failure) < 0:
            return -1
    return 0


cdef inline void _inherit(Span *own, Span inherited) noexcept nogil:
    # A record without value is one all the same.
    if own.data == NULL:
        own[0] = inherited


cdef bint _is_among(const Attribute *attribute, const Attribute *others, size_t count) noexcept nogil:
    cdef size_t index
    for index in range(count):
        if (
            others[index].name.size == attribute.name.size
            and others[index].encoded == attribute.encoded
            and memcmp(others[index].name.data, attribute.name.data, attribute.name.size) == 0
        ):
            return True
    return False


cdef int _change(GlobalPax *pax, PaxRecords *changed, long long header_limit, Failure *failure) noexcept nogil:
    if parse_pax(pax.header_text.data, pax.header_text.size, changed, failure) < 0:
        return -1
    if _has_sparse_map(changed):
        return refused(failure, GLOBAL_SPARSE_MAP)
    # Before as after: those of one header are compared with each other, and with those that there are.
    if _check_attributes(changed, failure) < 0 or inherit_pax(changed, &pax.records, failure) < 0:
        return -1
    _leave_out_deleted(changed)
    if _check_attributes(changed, failure) < 0:
        return -1
    return _keep(pax, changed, header_limit, failure)


cdef bint _has_sparse_map(const PaxRecords *records) noexcept nogil:
    return (
        records.sparse_name.data != NULL
        or records.sparse_major.data != NULL
        or records.sparse_map.data != NULL
        or records.sparse_size.data != NULL
        or records.sparse_real_size.data != NULL
        or records.sparse_number_count != 0
    )


cdef int _check_attributes(const PaxRecords *records, Failure *failure) noexcept nogil:
    cdef size_t total = 0
    cdef size_t index
    for index in range(records.attribute_count):
        total += records.attributes[index].name.size + records.attributes[index].value.size + ATTRIBUTE_OVERHEAD
    return number_refused(failure, GLOBAL_ATTRIBUTES_TOO_LARGE, ATTRIBUTES_MAX) if total > ATTRIBUTES_MAX else 0


cdef void _leave_out_deleted(PaxRecords *records) noexcept nogil:
    # Attributes without value, and those that the same header has once more: the last one counts.
    cdef Attribute *attribute
    cdef size_t kept = 0
    cdef size_t index
    for index in range(records.attribute_count):
        attribute = &records.attributes[index]
        if attribute.value.size and not _is_among(attribute, attribute + 1, records.attribute_count - index - 1):
            records.attributes[kept] = attribute[0]
            kept += 1
    records.attribute_count = kept


cdef int _keep(GlobalPax *pax, const PaxRecords *changed, long long header_limit, Failure *failure) noexcept nogil:
    # Only what holds, in a text of its own: however many headers there are, they take no more memory than one.
    cdef ByteBuffer text
    cdef size_t total = _text_size(changed)
    if <long long>total > header_limit:
        return number_refused(failure, HEADER_TOO_LARGE, header_limit)
    memset(&text, 0, sizeof(ByteBuffer))
    if reserve(&text, total) < 0:
        return failed(failure, ENOMEM)
    free_pax(&pax.records)
    if _copy(changed, &pax.records, &text, failure) < 0:
        release(&text)
        free_pax(&pax.records)
        return -1
    release(&pax.text)
    pax.text = text
    pax.has_records = total > 0
    return 0


cdef size_t _text_size(const PaxRecords *records) noexcept nogil:
    cdef size_t total = records.path.size + records.link_path.size + records.size.size
    cdef size_t index
    total += records.uid.size + records.gid.size + records.mtime.size
    for index in range(records.attribute_count):
        total += records.attributes[index].name.size + records.attributes[index].value.size
    return total


cdef int _copy(const PaxRecords *records, PaxRecords *copy, ByteBuffer *text, Failure *failure) noexcept nogil:
    cdef const Attribute *attribute
    cdef size_t index
    copy.path = _copied(records.path, text)
    copy.link_path = _copied(records.link_path, text)
    copy.size = _copied(records.size, text)
    copy.uid = _copied(records.uid, text)
    copy.gid = _copied(records.gid, text)
    copy.mtime = _copied(records.mtime, text)
    for index in range(records.attribute_count):
        attribute = &records.attributes[index]
        if add_attribute(
            copy, _copied(attribute.name, text), _copied(attribute.value, text), attribute.encoded, failure
        ) < 0:
            return -1
    return 0


cdef inline Span _copied(Span record, ByteBuffer *text) noexcept nogil:
    # There is room for it. A record without value is none from here on.
    cdef char *place = text.data + text.size
    if record.size == 0:
        return Span(NULL, 0)
    memcpy(place, record.data, record.size)
    text.size += record.size
    return Span(place, record.size)
