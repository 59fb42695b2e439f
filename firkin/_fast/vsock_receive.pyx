"""Host to guest: resets first, then what streams have to tell, then their bytes, in turn.

Bytes are read from the host's socket or file straight into as many of the guest's buffers as one read can fill.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from .virtqueue cimport is_running, publish, want_kicks
from .vsock_batch cimport GATHERED, NO_BUFFER, TURN_BYTES, gather, give
from .vsock_host cimport read_host
from .vsock_packet cimport (
    CREDIT_REQUEST, CREDIT_UPDATE, HOST_CID, Header, Operation, PAYLOAD, RECEIVES_NO_MORE, REQUEST, RESET, RESPONSE,
    SENDS_NO_MORE, SHUTDOWN, STREAM_TYPE,
)
from .vsock_relay cimport BATCH_CHAINS, Batch, Refusal, Relay
from .vsock_streams cimport (
    DATA, NOTICES, NO_STREAM, OPEN, SEND_CREDIT_REQUEST, SEND_CREDIT_UPDATE, SEND_REQUEST, SEND_RESPONSE, Stream,
    credit, dequeue, enqueue, enqueue_first, may_send, notify_guest,
)

cdef enum:
    TURNS = 32  # of streams, before the guest's packets are looked at


cdef int serve_receive(Relay *relay) noexcept nogil:
    cdef int result
    if not is_running(relay.receive):
        return 0
    result = _send(relay)
    while result == NO_BUFFER and want_kicks(relay.receive, True):
        result = _send(relay)
    if result == GATHERED:
        want_kicks(relay.receive, False)
    publish(relay.receive)
    return 0 if result >= 0 else -1


cdef int _send(Relay *relay) noexcept nogil:
    # What has no payload goes first: there is little of it. Reading may bring more of it.
    cdef int result = _send_refusals(relay)
    if result == GATHERED:
        result = _send_notices(relay)
    if result == GATHERED:
        result = _send_data(relay)
    if relay.refusal_count or relay.table.lanes[<int>NOTICES].first != NO_STREAM:
        relay.is_busy = relay.is_busy or result == GATHERED
    return result


cdef int _send_refusals(Relay *relay) noexcept nogil:
    cdef Refusal *refusal
    cdef int result
    while relay.refusal_count:
        refusal = &relay.refusals[relay.refusal_first]
        result = _send_packet(relay, refusal.guest_port, refusal.host_port, RESET, NULL)
        if result != GATHERED:
            return result
        relay.refusal_first = relay.refusal_first + 1 if relay.refusal_first + 1 < relay.refusal_limit else 0
        relay.refusal_count -= 1
        # The guest's packets may have waited for this.
        relay.is_busy = True
    return GATHERED


cdef int _send_notices(Relay *relay) noexcept nogil:
    cdef int slot = dequeue(&relay.table, NOTICES)
    cdef int result
    while slot != NO_STREAM:
        result = _send_notices_of(relay, slot)
        if result != GATHERED:
            enqueue_first(&relay.table, slot, NOTICES)
            return result
        slot = dequeue(&relay.table, NOTICES)
    return GATHERED


cdef int _send_notices_of(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef int notice
    cdef int result
    while stream.notices:
        notice = stream.notices & -stream.notices
        result = _send_packet(relay, stream.guest_port, stream.host_port, _operation(notice), stream)
        if result != GATHERED:
            return result
        stream.notices &= ~notice
    return GATHERED


cdef Operation _operation(int notice) noexcept nogil:
    if notice == SEND_REQUEST:
        return REQUEST
    if notice == SEND_RESPONSE:
        return RESPONSE
    if notice == SEND_CREDIT_UPDATE:
        return CREDIT_UPDATE
    if notice == SEND_CREDIT_REQUEST:
        return CREDIT_REQUEST
    return SHUTDOWN


cdef int _send_packet(
    Relay *relay, uint32_t guest_port, uint32_t host_port, Operation operation, Stream *stream
) noexcept nogil:
    # A packet without payload; a stream tells its window along with it.
    cdef Header header
    cdef int result = gather(relay, 0, 1)
    if result != GATHERED:
        return result
    _fill_header(relay, &header, guest_port, host_port, operation, stream)
    if operation == SHUTDOWN:
        header.flags = stream.host_ended
        stream.told_ended = stream.host_ended
    give(relay, 0, 0, &header)
    return GATHERED


cdef void _fill_header(
    const Relay *relay, Header *header, uint32_t guest_port, uint32_t host_port, Operation operation, Stream *stream
) noexcept nogil:
    header.source_cid = HOST_CID
    header.destination_cid = relay.guest_cid
    header.source_port = host_port
    header.destination_port = guest_port
    header.size = 0
    header.type = STREAM_TYPE
    header.operation = <uint16_t>operation
    header.flags = 0
    header.buffer_size = header.forwarded = 0
    if stream != NULL:
        header.buffer_size = relay.window
        header.forwarded = stream.announced = stream.forwarded


cdef int _send_data(Relay *relay) noexcept nogil:
    cdef int _turn
    cdef int slot
    cdef int result
    for _turn in range(TURNS):
        slot = dequeue(&relay.table, DATA)
        if slot == NO_STREAM:
            return GATHERED
        if not _has_turn(relay, slot):
            relay.table.streams[slot].turn_left = 0
            continue
        result = _send_data_of(relay, slot)
        if result == NO_BUFFER:
            enqueue_first(&relay.table, slot, DATA)
        if result != GATHERED:
            return result
    relay.is_busy = True
    return GATHERED


cdef bint _has_turn(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.state != OPEN or stream.host_ended & SENDS_NO_MORE or stream.guest_ended & RECEIVES_NO_MORE:
        return False
    if not may_send(stream):
        return False
    if credit(stream):
        return True
    # The guest tells when it takes more; asked once, it need not be asked again before something was sent.
    if not stream.has_asked or stream.asked_at != stream.sent:
        stream.has_asked = True
        stream.asked_at = stream.sent
        notify_guest(&relay.table, slot, SEND_CREDIT_REQUEST)
    return False


cdef int _send_data_of(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef uint32_t generation = stream.generation
    cdef ssize_t size
    cdef int result
    if stream.turn_left == 0:
        stream.turn_left = TURN_BYTES
    result = gather(relay, min(credit(stream), stream.turn_left), stream.batch)
    if result != GATHERED:
        return result
    size = read_host(relay, slot, relay.batch.payloads, relay.batch.payload_count)
    if stream.generation != generation:
        return GATHERED
    if size > 0:
        stream.batch = _hand_over(relay, stream, size)
    # Who had too few buffers goes on when there are more, and keeps the turn; who had too few bytes has had it.
    if size > 0 and <uint64_t>size == relay.batch.capacity:
        stream.turn_left -= <uint32_t>size
    else:
        stream.turn_left = 0
    if stream.turn_left:
        enqueue_first(&relay.table, slot, DATA)
    elif may_send(stream):
        enqueue(&relay.table, slot, DATA)
    return GATHERED


cdef int _hand_over(Relay *relay, Stream *stream, size_t size) noexcept nogil:
    # Give the guest the buffers that were filled; how many the next read should have.
    cdef Header header
    cdef Batch *batch = &relay.batch
    cdef bint was_filled = size == batch.capacity
    cdef int index = 0
    _fill_header(relay, &header, stream.guest_port, stream.host_port, PAYLOAD, stream)
    stream.sent += <uint32_t>size
    relay.counters.bytes_to_guest += size
    while size:
        header.size = <uint32_t>size if size < batch.capacities[index] else batch.capacities[index]
        size -= header.size
        give(relay, index, header.size, &header)
        index += 1
    if not was_filled:
        return index
    return index * 2 if index * 2 < BATCH_CHAINS else BATCH_CHAINS
