"""A split virtqueue, the device's side. The guest may write anything, at any time: each field is read once."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from .device_end cimport (
    AVAILABLE_INDEX_JUMPED, CHAIN_ENDLESS, CHAIN_TOO_LONG, DESCRIPTOR_INDIRECT, DESCRIPTOR_OUTSIDE_MEMORY,
    DESCRIPTOR_UNKNOWN, DESCRIPTOR_WRONG_WAY, End, RING_OUTSIDE_MEMORY, front_end_broke, guest_broke,
)
from .guest_memory cimport GuestMemory, NO_ROOM, at_front_end_address, guest_range
from .vsock_syscalls cimport (
    full_fence, iovec, load16, load16_acquire, load32, load64, store16, store16_release, store32, write,
)

cdef enum:
    # Flags of a descriptor, and of the two rings.
    HAS_NEXT = 1
    IS_WRITABLE = 2
    IS_INDIRECT = 4
    NO_INTERRUPT = 1
    NO_NOTIFY = 1
    # The words of both rings: flags, index, then the entries.
    FLAGS = 0
    INDEX = 1
    ENTRIES = 2
    USED_ENTRY_WORDS = 4


cdef int locate_ring(Virtqueue *queue, const GuestMemory *memory, End *end) noexcept nogil:
    cdef uint64_t size = queue.size
    if queue.descriptors_address % 16 or queue.available_address % 2 or queue.used_address % 4:
        return front_end_broke(end, RING_OUTSIDE_MEMORY, queue.is_receive == 0)
    queue.descriptors = <const Descriptor *>at_front_end_address(memory, queue.descriptors_address, 16 * size)
    queue.available = <const uint16_t *>at_front_end_address(memory, queue.available_address, 6 + 2 * size)
    queue.used = <uint16_t *>at_front_end_address(memory, queue.used_address, 6 + 8 * size)
    if queue.descriptors == NULL or queue.available == NULL or queue.used == NULL:
        return front_end_broke(end, RING_OUTSIDE_MEMORY, queue.is_receive == 0)
    # A region may start anywhere in its file.
    if <uint64_t>queue.descriptors % 16 or <uint64_t>queue.available % 2 or <uint64_t>queue.used % 4:
        return front_end_broke(end, RING_OUTSIDE_MEMORY, queue.is_receive == 0)
    return 0


cdef void begin_ring(Virtqueue *queue) noexcept nogil:
    queue.used_index = queue.published_index = load16(&queue.used[INDEX])
    queue.available_seen = queue.last_available
    queue.wants_kicks = False
    want_kicks(queue, True)
    queue.is_started = True


cdef int look_at_chain(
    Virtqueue *queue, const GuestMemory *memory, uint16_t ahead, iovec *segments, int room, Chain *chain, End *end
) noexcept nogil:
    cdef uint16_t position = queue.last_available + ahead
    cdef uint16_t head
    if position == queue.available_seen:
        queue.available_seen = load16_acquire(&queue.available[INDEX])
        if <uint16_t>(queue.available_seen - queue.last_available) > queue.size:
            return guest_broke(end, AVAILABLE_INDEX_JUMPED, queue.available_seen)
        if position == queue.available_seen:
            return NO_CHAIN
    head = load16(&queue.available[ENTRIES + (position & (queue.size - 1))])
    chain.head = head
    return _walk(queue, memory, segments, room, chain, end)


cdef int _walk(
    Virtqueue *queue, const GuestMemory *memory, iovec *segments, int room, Chain *chain, End *end
) noexcept nogil:
    cdef const Descriptor *descriptor
    cdef uint16_t index = chain.head
    cdef uint16_t flags
    cdef uint32_t size
    cdef uint32_t _step
    cdef int pieces
    chain.count = 0
    chain.size = 0
    for _step in range(queue.size):
        if index >= queue.size:
            return guest_broke(end, DESCRIPTOR_UNKNOWN, index)
        descriptor = &queue.descriptors[index]
        flags = load16(&descriptor.flags)
        size = load32(&descriptor.size)
        if flags & IS_INDIRECT:
            return guest_broke(end, DESCRIPTOR_INDIRECT, index)
        if ((flags & IS_WRITABLE) != 0) != queue.is_receive:
            return guest_broke(end, DESCRIPTOR_WRONG_WAY, index)
        pieces = guest_range(
            memory, load64(&descriptor.address), size, segments + chain.count, room - chain.count
        )
        if pieces == NO_ROOM:
            return CHAIN_HAS_NO_ROOM if room < SEGMENTS_MAX else guest_broke(end, CHAIN_TOO_LONG, chain.head)
        if pieces < 0:
            return guest_broke(end, DESCRIPTOR_OUTSIDE_MEMORY, index)
        chain.count += pieces
        chain.size += size
        if not flags & HAS_NEXT:
            return CHAIN
        index = load16(&descriptor.next)
    return guest_broke(end, CHAIN_ENDLESS, chain.head)


cdef void use_chain(Virtqueue *queue, uint16_t head, uint32_t written) noexcept nogil:
    cdef uint32_t *entry = <uint32_t *>&queue.used[
        ENTRIES + USED_ENTRY_WORDS * (queue.used_index & (queue.size - 1))
    ]
    store32(entry, head)
    store32(entry + 1, written)
    queue.used_index += 1
    queue.last_available += 1


cdef void interrupt(Virtqueue *queue) noexcept nogil:
    cdef uint64_t one = 1
    if queue.call >= 0 and not load16(&queue.available[FLAGS]) & NO_INTERRUPT:
        queue.interrupts += 1
        write(queue.call, &one, sizeof(one))


cdef void publish(Virtqueue *queue) noexcept nogil:
    if queue.published_index == queue.used_index:
        return
    store16_release(&queue.used[INDEX], queue.used_index)
    queue.published_index = queue.used_index
    full_fence()
    interrupt(queue)


cdef bint want_kicks(Virtqueue *queue, bint wanted) noexcept nogil:
    if queue.wants_kicks != wanted:
        queue.wants_kicks = wanted
        store16(&queue.used[FLAGS], 0 if wanted else NO_NOTIFY)
    if not wanted:
        return False
    full_fence()
    return load16(&queue.available[INDEX]) != queue.last_available
