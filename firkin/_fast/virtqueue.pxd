# A split virtqueue, the device's side: virtio 1.2, section 2.7. Neither indirect descriptors nor event indices.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from .device_end cimport End
from .guest_memory cimport GuestMemory
from .vsock_syscalls cimport iovec

cdef enum:
    RING_SIZE_MAX = 1024
    SEGMENTS_MAX = 1024  # IOV_MAX: what one readv(2) takes
    NO_CHAIN = 0
    CHAIN = 1
    CHAIN_HAS_NO_ROOM = 2


cdef struct Descriptor:
    uint64_t address
    uint32_t size
    uint16_t flags
    uint16_t next


cdef struct Virtqueue:
    # What the front end said. The addresses are its own.
    uint32_t size
    uint64_t descriptors_address
    uint64_t available_address
    uint64_t used_address
    bint has_addresses
    bint is_enabled
    bint is_started
    int kick
    int call
    # Whether the device writes to its buffers.
    bint is_receive
    # Valid while it is started.
    const Descriptor *descriptors
    const uint16_t *available
    uint16_t *used
    uint16_t last_available
    uint16_t used_index
    uint16_t published_index
    uint16_t available_seen
    bint wants_kicks
    uint64_t interrupts
    # The index at which it was stopped, by which a resumed ring is told from a new one.
    uint16_t stopped_at
    bint was_stopped


# The pieces of one buffer, in `segments` of whoever asked.
cdef struct Chain:
    uint16_t head
    int count
    uint64_t size


cdef inline bint is_running(const Virtqueue *queue) noexcept nogil:
    return queue.is_started and queue.is_enabled


# Find the ring in memory; -1 with a reason.
cdef int locate_ring(Virtqueue *queue, const GuestMemory *memory, End *end) noexcept nogil
# The ring was located: begin where the guest's own count of used buffers is.
cdef void begin_ring(Virtqueue *queue) noexcept nogil

# The buffer `ahead` places after the next one, which stays in the ring: CHAIN, NO_CHAIN, CHAIN_HAS_NO_ROOM in
# `segments`, or -1 with a reason.
cdef int look_at_chain(
    Virtqueue *queue, const GuestMemory *memory, uint16_t ahead, iovec *segments, int room, Chain *chain, End *end
) noexcept nogil
# The next buffer is taken and given back, with `written` bytes in it; the guest sees it once it is published.
cdef void use_chain(Virtqueue *queue, uint16_t head, uint32_t written) noexcept nogil
# Interrupt the guest, when it wants that.
cdef void interrupt(Virtqueue *queue) noexcept nogil
# Show the guest what was used, and interrupt it when it wants that.
cdef void publish(Virtqueue *queue) noexcept nogil

# Ask the guest to tell of new buffers, or not to; True when there are some already.
cdef bint want_kicks(Virtqueue *queue, bint wanted) noexcept nogil
