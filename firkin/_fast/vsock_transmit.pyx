"""Guest to host: each packet is looked up in one table, by the state of its stream and its operation.

A breach of the ring ends the device; a breach of a stream's rules ends that stream.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from .device_end cimport PACKET_TOO_SHORT, guest_broke
from .virtqueue cimport Chain, NO_CHAIN, SEGMENTS_MAX, is_running, look_at_chain, publish, use_chain, want_kicks
from .vsock_connections cimport connect_to_host
from .vsock_host cimport abort_stream, settle, write_host
from .vsock_packet cimport (
    CREDIT_REQUEST, CREDIT_UPDATE, HEADER_BYTES, HOST_CID, Header, NO_MORE, OPERATIONS, PAYLOAD, REQUEST, RESET,
    RESPONSE, SENDS_NO_MORE, SHUTDOWN, STREAM_TYPE,
)
from .vsock_relay cimport REFUSALS_FOR_PACKETS, Relay, refuse
from .vsock_streams cimport (
    ASKING_GUEST, ASKING_HOST, DRAINING, FREE, NO_STREAM, OPEN, SEND_CREDIT_UPDATE, STREAM_STATES, Stream,
    drop_stream, find_stream, forget_ports, held_bytes, notify_guest,
)
from .vsock_syscalls cimport compiler_fence, iovec

cdef enum:
    PACKETS_A_TURN = 64


cdef enum Action:
    ABORT = 0  # unless the table says otherwise
    REFUSE
    IGNORE
    CONNECT
    ACCEPT
    END
    DELIVER
    NOTE
    ANSWER
    FORGET


cdef Action[STREAM_STATES][OPERATIONS] ACTIONS


cdef void _fill_table() noexcept:
    cdef int operation
    for operation in range(<int>OPERATIONS):
        ACTIONS[<int>FREE][operation] = REFUSE
    ACTIONS[<int>FREE][<int>REQUEST] = CONNECT
    ACTIONS[<int>FREE][<int>RESET] = IGNORE
    ACTIONS[<int>ASKING_GUEST][<int>RESPONSE] = ACCEPT
    ACTIONS[<int>ASKING_GUEST][<int>CREDIT_UPDATE] = NOTE
    ACTIONS[<int>ASKING_GUEST][<int>RESET] = FORGET
    ACTIONS[<int>ASKING_HOST][<int>CREDIT_UPDATE] = NOTE
    ACTIONS[<int>ASKING_HOST][<int>RESET] = FORGET
    ACTIONS[<int>OPEN][<int>SHUTDOWN] = END
    ACTIONS[<int>OPEN][<int>PAYLOAD] = DELIVER
    ACTIONS[<int>OPEN][<int>CREDIT_UPDATE] = NOTE
    ACTIONS[<int>OPEN][<int>CREDIT_REQUEST] = ANSWER
    ACTIONS[<int>OPEN][<int>RESET] = FORGET
    ACTIONS[<int>DRAINING][<int>SHUTDOWN] = NOTE
    ACTIONS[<int>DRAINING][<int>CREDIT_UPDATE] = NOTE
    ACTIONS[<int>DRAINING][<int>CREDIT_REQUEST] = NOTE
    ACTIONS[<int>DRAINING][<int>RESET] = FORGET


_fill_table()


cdef int serve_transmit(Relay *relay) noexcept nogil:
    cdef Chain chain
    cdef int packets = 0
    cdef int found
    if not is_running(relay.transmit):
        return 0
    while relay.refusal_count < REFUSALS_FOR_PACKETS:
        found = look_at_chain(
            relay.transmit, relay.memory, 0, relay.segments, SEGMENTS_MAX, &chain, &relay.end
        )
        if found < 0:
            return -1
        if found == NO_CHAIN:
            if want_kicks(relay.transmit, True):
                continue
            break
        if packets == PACKETS_A_TURN:
            relay.is_busy = True
            break
        want_kicks(relay.transmit, False)
        packets += 1
        if _handle(relay, &chain) < 0:
            return -1
        use_chain(relay.transmit, chain.head, 0)
    publish(relay.transmit)
    return 0


cdef int _handle(Relay *relay, const Chain *chain) noexcept nogil:
    cdef Header header
    cdef iovec *payload = relay.segments
    cdef int count = chain.count
    if _take_header(&header, &payload, &count) < 0 or header.size > chain.size - HEADER_BYTES:
        return guest_broke(&relay.end, PACKET_TOO_SHORT, <long long>chain.size)
    relay.counters.packets_from_guest += 1
    # What is not addressed to the host, or not from the guest, is nobody's.
    if header.source_cid != relay.guest_cid or header.destination_cid != HOST_CID:
        return 0
    _act(relay, &header, payload, _cut(payload, count, header.size))
    return 0


cdef int _take_header(Header *header, iovec **pieces, int *count) noexcept nogil:
    # The header, however the guest cut it; the pieces are moved on behind it.
    cdef size_t taken = 0
    cdef size_t size
    while taken < HEADER_BYTES:
        if count[0] == 0:
            return -1
        size = pieces[0].iov_len
        if size > HEADER_BYTES - taken:
            size = HEADER_BYTES - taken
        memcpy(<char *>header + taken, pieces[0].iov_base, size)
        taken += size
        pieces[0].iov_base = <char *>pieces[0].iov_base + size
        pieces[0].iov_len -= size
        if pieces[0].iov_len == 0:
            pieces[0] += 1
            count[0] -= 1
    compiler_fence()
    return 0


cdef int _cut(iovec *pieces, int count, size_t size) noexcept nogil:
    # How many pieces hold the payload; the last one is made shorter.
    cdef int index
    for index in range(count):
        if size == 0:
            return index
        if pieces[index].iov_len > size:
            pieces[index].iov_len = size
        size -= pieces[index].iov_len
    return count


cdef void _act(Relay *relay, const Header *header, iovec *payload, int count) noexcept nogil:
    cdef int slot = find_stream(&relay.table, header.source_port, header.destination_port)
    cdef Stream *stream = &relay.table.streams[slot] if slot != NO_STREAM else NULL
    cdef Action action = _action(header, stream)
    if stream != NULL:
        stream.guest_buffer_size = header.buffer_size
        stream.guest_forwarded = header.forwarded
    if action == CONNECT:
        connect_to_host(relay, header.source_port, header.destination_port)
        slot = find_stream(&relay.table, header.source_port, header.destination_port)
        if slot != NO_STREAM:
            relay.table.streams[slot].guest_buffer_size = header.buffer_size
    elif action == REFUSE:
        refuse(relay, header.source_port, header.destination_port)
    elif action == ABORT:
        abort_stream(relay, slot)
    elif action == DELIVER:
        _deliver(relay, slot, payload, count, header.size)
    elif action == FORGET:
        _forget(relay, slot)
    elif action != IGNORE:
        _change(relay, slot, action, header.flags)


cdef Action _action(const Header *header, const Stream *stream) noexcept nogil:
    if header.type != STREAM_TYPE or header.operation >= OPERATIONS:
        return (IGNORE if header.operation == RESET else REFUSE) if stream == NULL else ABORT
    return ACTIONS[<int>stream.state if stream != NULL else <int>FREE][header.operation]


cdef void _change(Relay *relay, int slot, Action action, uint32_t flags) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if action == ACCEPT:
        stream.state = OPEN
        relay.counters.streams_opened += 1
    elif action == END:
        stream.guest_ended |= flags & NO_MORE
    elif action == ANSWER:
        notify_guest(&relay.table, slot, SEND_CREDIT_UPDATE)
    settle(relay, slot)


cdef void _deliver(Relay *relay, int slot, iovec *payload, int count, uint32_t size) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.guest_ended & SENDS_NO_MORE or size > relay.window - (stream.received - stream.forwarded):
        abort_stream(relay, slot)
        return
    stream.received += size
    relay.counters.bytes_from_guest += size
    if size:
        write_host(relay, slot, payload, count, size)
    else:
        settle(relay, slot)


cdef void _forget(Relay *relay, int slot) noexcept nogil:
    # The guest is done with the stream; what it sent before is still the host's.
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.state == ASKING_HOST:
        relay.asking_host -= 1
    if held_bytes(stream) == 0:
        drop_stream(&relay.table, slot)
        return
    forget_ports(&relay.table, slot)
    stream.notices = 0
    stream.guest_ended = NO_MORE
    stream.state = DRAINING
