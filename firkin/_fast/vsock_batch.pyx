"""Buffers of the guest's receive ring, taken together, so that one read can fill them all."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .device_end cimport BUFFER_TOO_SMALL, guest_broke
from .virtqueue cimport Chain, NO_CHAIN, SEGMENTS_MAX, look_at_chain, use_chain
from .vsock_packet cimport HEADER_BYTES, Header
from .vsock_relay cimport Batch, Relay
from .vsock_syscalls cimport iovec


cdef int gather(Relay *relay, uint32_t allowed, int chains) noexcept nogil:
    cdef Batch *batch = &relay.batch
    cdef Chain chain
    cdef int found
    batch.chains = batch.header_count = batch.payload_count = 0
    batch.capacity = 0
    while batch.chains == 0 or (batch.chains < chains and batch.capacity < allowed):
        found = look_at_chain(
            relay.receive, relay.memory, <uint16_t>batch.chains, relay.segments, SEGMENTS_MAX, &chain, &relay.end
        )
        if found < 0:
            return -1
        if found == NO_CHAIN or not _add_to_batch(relay, &chain):
            break
        if chain.size <= HEADER_BYTES:
            return guest_broke(&relay.end, BUFFER_TOO_SMALL, <long long>chain.size)
    if batch.chains == 0:
        return NO_BUFFER
    _trim(batch, allowed)
    return GATHERED


cdef bint _add_to_batch(Relay *relay, const Chain *chain) noexcept nogil:
    # Part the buffer into the header's pieces and the payload's; False when the batch has no room for it.
    cdef Batch *batch = &relay.batch
    cdef int headers = batch.header_count
    cdef int payloads = batch.payload_count
    cdef size_t header_left = HEADER_BYTES
    cdef size_t taken
    cdef iovec piece
    cdef int index
    for index in range(chain.count):
        piece = relay.segments[index]
        if headers == SEGMENTS_MAX or payloads == SEGMENTS_MAX:
            return False
        taken = piece.iov_len if piece.iov_len < header_left else header_left
        if taken:
            batch.headers[headers].iov_base = piece.iov_base
            batch.headers[headers].iov_len = taken
            headers += 1
            header_left -= taken
        if piece.iov_len > taken:
            batch.payloads[payloads].iov_base = <char *>piece.iov_base + taken
            batch.payloads[payloads].iov_len = piece.iov_len - taken
            payloads += 1
    batch.heads[batch.chains] = chain.head
    batch.header_pieces[batch.chains] = headers - batch.header_count
    batch.capacities[batch.chains] = _capacity(chain)
    batch.capacity += batch.capacities[batch.chains]
    batch.header_count = headers
    batch.payload_count = payloads
    batch.chains += 1
    return True


cdef uint32_t _capacity(const Chain *chain) noexcept nogil:
    # No more than one turn gives is of interest.
    if chain.size <= HEADER_BYTES:
        return 0
    return <uint32_t>min(chain.size - HEADER_BYTES, <uint64_t>TURN_BYTES)


cdef void _trim(Batch *batch, uint64_t allowed) noexcept nogil:
    # Let the payload's pieces hold no more than is allowed.
    cdef uint64_t size = 0
    cdef int index
    if batch.capacity > allowed:
        batch.capacity = allowed
    for index in range(batch.payload_count):
        if size + batch.payloads[index].iov_len >= allowed:
            batch.payloads[index].iov_len = allowed - size
            batch.payload_count = index + 1
            return
        size += batch.payloads[index].iov_len


cdef void give(Relay *relay, int index, uint32_t size, const Header *header) noexcept nogil:
    cdef Batch *batch = &relay.batch
    cdef size_t written = 0
    cdef int piece = 0
    cdef int before
    for before in range(index):
        piece += batch.header_pieces[before]
    while written < HEADER_BYTES:
        memcpy(batch.headers[piece].iov_base, <const char *>header + written, batch.headers[piece].iov_len)
        written += batch.headers[piece].iov_len
        piece += 1
    relay.counters.packets_to_guest += 1
    use_chain(relay.receive, batch.heads[index], HEADER_BYTES + size)
