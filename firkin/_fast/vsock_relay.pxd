# What the two directions of a device share.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from .device_end cimport End
from .guest_memory cimport GuestMemory
from .virtqueue cimport SEGMENTS_MAX, Virtqueue
from .vsock_streams cimport StreamTable
from .vsock_syscalls cimport iovec

cdef enum:
    BATCH_CHAINS = 64
    LISTENERS_MAX = 64
    # The guest's packets are left where they are when more resets than this wait for buffers.
    REFUSALS_FOR_PACKETS = 1024
    PATH_BYTES = 108


# What an event of epoll is about: the kind in the upper byte, a generation, then an index.
cdef enum EventKind:
    WAKE_EVENT
    FRONT_END_EVENT
    CONNECTION_EVENT
    KICK_EVENT
    LISTENER_EVENT
    STREAM_EVENT
    FILES_EVENT


# Ports of the guest's and the host's that are to be reset.
cdef struct Refusal:
    uint32_t guest_port
    uint32_t host_port


cdef struct Listener:
    int socket
    uint32_t guest_port
    bint has_waiting  # connections that were left in its queue


cdef struct Counters:
    uint64_t wakeups
    uint64_t streams_opened
    uint64_t streams_refused
    uint64_t packets_to_guest
    uint64_t packets_from_guest
    uint64_t bytes_to_guest
    uint64_t bytes_from_guest
    uint64_t bytes_held
    uint64_t reads_awaited   # of files whose bytes were not in memory


# Buffers of the guest that a read is to fill: where their headers and their payloads go.
cdef struct Batch:
    int chains
    uint16_t[BATCH_CHAINS] heads
    uint32_t[BATCH_CHAINS] capacities
    int[BATCH_CHAINS] header_pieces
    int header_count
    int payload_count
    uint64_t capacity
    iovec[SEGMENTS_MAX] headers
    iovec[SEGMENTS_MAX] payloads


cdef struct Relay:
    End end
    uint64_t guest_cid
    uint32_t window
    int epoll
    GuestMemory *memory
    Virtqueue *receive
    Virtqueue *transmit
    StreamTable table
    Refusal *refusals
    int refusal_limit
    int refusal_first
    int refusal_count
    Listener[LISTENERS_MAX] listeners
    int listener_count
    int asking_host          # how many streams wait for room at a listener of the host
    uint64_t asked_at        # when they last tried, in milliseconds
    bint is_busy             # there is more to do than one turn did
    char[PATH_BYTES] host_path
    size_t host_path_size
    iovec[SEGMENTS_MAX] segments
    Batch batch
    Counters counters


cdef inline uint64_t event_key(EventKind kind, uint32_t generation, int index) noexcept nogil:
    return <uint64_t>kind << 56 | <uint64_t>(generation & 0xffffff) << 32 | <uint32_t>index


cdef inline void refuse(Relay *relay, uint32_t guest_port, uint32_t host_port) noexcept nogil:
    # There is always room: see REFUSALS_FOR_PACKETS, to which each stream may add one.
    cdef int place = relay.refusal_first + relay.refusal_count
    if relay.refusal_count == relay.refusal_limit:
        return
    if place >= relay.refusal_limit:
        place -= relay.refusal_limit
    relay.refusals[place].guest_port = guest_port
    relay.refusals[place].host_port = host_port
    relay.refusal_count += 1
