"""The table of a device's streams. Its size is fixed, so a guest can neither fill memory nor make a search long."""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from .byte_buffer cimport release
from .file_readers cimport forget_readers, give_up_file, make_readers
from .vsock_syscalls cimport close_file

cdef enum:
    # Ports of the host's own connections, as Linux gives them out; a guest may connect to any other.
    FIRST_HOST_PORT = 0x40000000
    LAST_HOST_PORT = 0x7fffffff


cdef int make_table(StreamTable *table, int limit, uint64_t salt) noexcept nogil:
    cdef int slot
    memset(table, 0, sizeof(StreamTable))
    table.limit = limit
    table.salt = salt | 1
    table.bucket_count = 1
    while table.bucket_count < limit:
        table.bucket_count *= 2
    table.streams = <Stream *>calloc(limit, sizeof(Stream))
    table.buckets = <int *>calloc(table.bucket_count, sizeof(int))
    # As many files again as there are streams may wait for their disks, to be closed.
    table.readers = make_readers(2 * limit)
    if table.streams == NULL or table.buckets == NULL or table.readers == NULL:
        return -1
    for slot in range(table.bucket_count):
        table.buckets[slot] = NO_STREAM
    for slot in range(limit):
        table.streams[slot].socket = -1
        table.streams[slot].next_in_bucket = slot + 1 if slot + 1 < limit else NO_STREAM
    table.lanes[<int>NOTICES].first = table.lanes[<int>DATA].first = NO_STREAM
    table.next_port = FIRST_HOST_PORT
    return 0


cdef void free_table(StreamTable *table) noexcept nogil:
    cdef int slot
    if table.streams != NULL:
        for slot in range(table.limit):
            if table.streams[slot].state != FREE:
                drop_stream(table, slot)
    free(table.streams)
    free(table.buckets)
    if table.readers != NULL:
        forget_readers(table.readers)
    table.readers = NULL
    table.streams = NULL
    table.buckets = NULL


cdef int *_bucket(const StreamTable *table, uint32_t guest_port, uint32_t host_port) noexcept nogil:
    cdef uint64_t mixed = (((<uint64_t>guest_port << 32) | host_port) ^ table.salt) * table.salt
    mixed ^= mixed >> 32
    return &table.buckets[(mixed * table.salt >> 32) & <uint64_t>(table.bucket_count - 1)]


cdef int find_stream(const StreamTable *table, uint32_t guest_port, uint32_t host_port) noexcept nogil:
    cdef int slot = _bucket(table, guest_port, host_port)[0]
    while slot != NO_STREAM:
        if table.streams[slot].guest_port == guest_port and table.streams[slot].host_port == host_port:
            break
        slot = table.streams[slot].next_in_bucket
    return slot


cdef int add_stream(StreamTable *table, uint32_t guest_port, uint32_t host_port, int socket) noexcept nogil:
    cdef int slot = table.first_free
    cdef int *bucket
    cdef Stream *stream
    if slot == NO_STREAM:
        return NO_STREAM
    stream = &table.streams[slot]
    table.first_free = stream.next_in_bucket
    table.open_count += 1
    bucket = _bucket(table, guest_port, host_port)
    stream.next_in_bucket = bucket[0]
    bucket[0] = slot
    stream.is_known = True
    stream.guest_port = guest_port
    stream.host_port = host_port
    stream.socket = socket
    stream.batch = 1
    return slot


cdef void drop_file(StreamTable *table, int slot) noexcept nogil:
    cdef HandedFile *file = table.streams[slot].file
    if file != NULL:
        table.streams[slot].file = NULL
        give_up_file(table.readers, file)


cdef void forget_ports(StreamTable *table, int slot) noexcept nogil:
    cdef Stream *stream = &table.streams[slot]
    cdef int *place
    if not stream.is_known:
        return
    stream.is_known = False
    place = _bucket(table, stream.guest_port, stream.host_port)
    while place[0] != slot:
        place = &table.streams[place[0]].next_in_bucket
    place[0] = stream.next_in_bucket


cdef void drop_stream(StreamTable *table, int slot) noexcept nogil:
    cdef Stream *stream = &table.streams[slot]
    cdef Stream fresh
    forget_ports(table, slot)
    # First: whoever sees the end of his connection finds it counted as ended.
    table.open_count -= 1
    close_file(&stream.socket)
    drop_file(table, slot)
    release(&stream.held)
    memset(&fresh, 0, sizeof(Stream))
    fresh.socket = -1
    fresh.generation = stream.generation + 1
    # It may still stand in a lane, where it is passed over.
    fresh.is_queued = stream.is_queued
    fresh.next_in_lane = stream.next_in_lane
    fresh.next_in_bucket = table.first_free
    stream[0] = fresh
    table.first_free = slot
    table.has_freed = True


cdef uint32_t free_host_port(StreamTable *table, uint32_t guest_port) noexcept nogil:
    cdef uint32_t port
    while True:
        port = table.next_port
        table.next_port = port + 1 if port < LAST_HOST_PORT else FIRST_HOST_PORT
        if find_stream(table, guest_port, port) == NO_STREAM:
            return port


cdef void enqueue(StreamTable *table, int slot, Lane lane) noexcept nogil:
    cdef Queue *queue = &table.lanes[<int>lane]
    cdef Stream *stream = &table.streams[slot]
    if stream.is_queued[<int>lane]:
        return
    stream.is_queued[<int>lane] = True
    stream.next_in_lane[<int>lane] = NO_STREAM
    if queue.first == NO_STREAM:
        queue.first = slot
    else:
        table.streams[queue.last].next_in_lane[<int>lane] = slot
    queue.last = slot


cdef int dequeue(StreamTable *table, Lane lane) noexcept nogil:
    cdef Queue *queue = &table.lanes[<int>lane]
    cdef int slot = queue.first
    if slot != NO_STREAM:
        queue.first = table.streams[slot].next_in_lane[<int>lane]
        table.streams[slot].is_queued[<int>lane] = False
    return slot


cdef void enqueue_first(StreamTable *table, int slot, Lane lane) noexcept nogil:
    cdef Queue *queue = &table.lanes[<int>lane]
    cdef Stream *stream = &table.streams[slot]
    if stream.is_queued[<int>lane]:
        return
    stream.is_queued[<int>lane] = True
    stream.next_in_lane[<int>lane] = queue.first
    if queue.first == NO_STREAM:
        queue.last = slot
    queue.first = slot
