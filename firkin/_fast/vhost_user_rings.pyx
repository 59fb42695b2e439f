"""What a front end says of its rings. Each stands still until it was described and has an event for its kicks."""

from libc.stdint cimport uint16_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, strcmp

from .device_end cimport (
    MESSAGE_MALFORMED, MESSAGE_TOO_EARLY, NOT_AN_EVENT, RING_SIZE_REFUSED, RING_UNKNOWN, front_end_broke, host_failed,
)
from .vhost_user cimport FrontEnd, RINGS
from .vhost_user_message cimport Message, number_of, reply
from .virtqueue cimport RING_SIZE_MAX, Virtqueue, begin_ring, interrupt, locate_ring
from .vsock_relay cimport KICK_EVENT, event_key
from .vsock_syscalls cimport (
    EPOLLET, EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL, F_GETFL, F_SETFL, O_NONBLOCK, close_file, epoll_ctl, epoll_event,
    fcntl, readlink,
)

cdef enum:
    # Of the number of a ring that comes with a file.
    RING_MASK = 0xff
    HAS_NO_FILE = 0x100
    # Requests that are told of when they are refused.
    SET_VRING_BASE = 10
    SET_VRING_KICK = 12


cdef int set_ring_size(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, state.ring)
    if ring == NULL:
        return -1
    # A power of two: virtio 1.2, section 2.7.
    if state.number == 0 or state.number > RING_SIZE_MAX or state.number & (state.number - 1) or ring.is_started:
        return front_end_broke(front_end.end, RING_SIZE_REFUSED, state.number)
    ring.size = state.number
    return 0


cdef int set_ring_addresses(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingAddresses addresses
    cdef Virtqueue *ring
    memcpy(&addresses, message.payload, sizeof(addresses))
    ring = _ring(front_end, addresses.ring)
    if ring == NULL:
        return -1
    ring.descriptors_address = addresses.descriptors
    ring.available_address = addresses.available
    ring.used_address = addresses.used
    ring.has_addresses = True
    return locate_running_rings(front_end)


cdef int set_ring_base(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, state.ring)
    if ring == NULL:
        return -1
    if ring.is_started or state.number > 0xffff:
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, SET_VRING_BASE)
    ring.last_available = <uint16_t>state.number
    # A paused machine goes on where it was; one that was reset begins anew, and its streams are no more.
    if ring.was_stopped and state.number != ring.stopped_at:
        front_end.has_restarted = True
    return 0


cdef int get_ring_base(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, state.ring)
    if ring == NULL:
        return -1
    state.number = ring.last_available
    ring.stopped_at = ring.last_available
    ring.was_stopped = True
    ring.is_started = False
    _unwatch(front_end, &ring.kick)
    close_file(&ring.call)
    return reply(front_end.connection, message, &state, sizeof(state), front_end.end)


cdef int set_ring_kick(FrontEnd *front_end, Message *message) noexcept nogil:
    # Its first kick is taken for granted: the ring is looked at in the turn that follows.
    cdef uint64_t index = number_of(message)
    cdef Virtqueue *ring = _ring(front_end, index & RING_MASK)
    cdef epoll_event event
    if ring == NULL:
        return -1
    _unwatch(front_end, &ring.kick)
    if _take_event(front_end, message, index, &ring.kick) < 0:
        return -1
    if ring.size == 0 or not ring.has_addresses or not front_end.has_features or ring.kick < 0:
        return front_end_broke(front_end.end, MESSAGE_TOO_EARLY, SET_VRING_KICK)
    if locate_ring(ring, &front_end.memory, front_end.end) < 0:
        return -1
    # Edge-triggered: each write to it is an event, and its count need not be read.
    event.events = EPOLLIN | EPOLLET
    event.data.u64 = event_key(KICK_EVENT, 0, <int>(index & RING_MASK))
    if epoll_ctl(front_end.epoll, EPOLL_CTL_ADD, ring.kick, &event) < 0:
        return host_failed(front_end.end)
    if not ring.is_started:
        begin_ring(ring)
    return 0


cdef int set_ring_call(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t index = number_of(message)
    cdef Virtqueue *ring = _ring(front_end, index & RING_MASK)
    if ring == NULL:
        return -1
    close_file(&ring.call)
    if _take_event(front_end, message, index, &ring.call) < 0:
        return -1
    if ring.is_started:
        # An interrupt for the last one may have come after the front end had looked there for the last time.
        interrupt(ring)
    return 0


cdef int set_ring_error(FrontEnd *front_end, Message *message) noexcept nogil:
    # A broken ring ends the device, which closes the connection: there is no other sign of it.
    return 0 if _ring(front_end, number_of(message) & RING_MASK) != NULL else -1


cdef int enable_ring(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, state.ring)
    if ring == NULL:
        return -1
    ring.is_enabled = state.number != 0
    return 0


cdef int locate_running_rings(FrontEnd *front_end) noexcept nogil:
    cdef int index
    for index in range(RINGS):
        if front_end.rings[index].is_started:
            if locate_ring(&front_end.rings[index], &front_end.memory, front_end.end) < 0:
                front_end.rings[index].is_started = False
                return -1
    return 0


cdef Virtqueue *_ring(FrontEnd *front_end, uint64_t index) noexcept nogil:
    if index >= RINGS:
        front_end_broke(front_end.end, RING_UNKNOWN, <long long>index)
        return NULL
    return &front_end.rings[index]


cdef int _take_event(FrontEnd *front_end, Message *message, uint64_t index, int *place) noexcept nogil:
    # Anything but an eventfd could block whoever writes to it, and so could one that waits for its reader.
    if index & HAS_NO_FILE:
        return 0
    if message.file_count != 1:
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, message.header.request)
    if not _is_event(message.files[0]):
        return front_end_broke(front_end.end, NOT_AN_EVENT, message.header.request)
    fcntl(message.files[0], F_SETFL, fcntl(message.files[0], F_GETFL) | O_NONBLOCK)
    place[0] = message.files[0]
    message.files[0] = -1
    return 0


cdef bint _is_event(int file) noexcept nogil:
    cdef char[32] path
    cdef char[32] target
    cdef ssize_t size
    snprintf(path, sizeof(path), b"/proc/self/fd/%d", file)
    size = readlink(path, target, sizeof(target) - 1)
    if size <= 0:
        return False
    target[size] = 0
    return strcmp(target, b"anon_inode:[eventfd]") == 0


cdef void _unwatch(FrontEnd *front_end, int *kick) noexcept nogil:
    # The front end holds the event too, so closing it would not end the watch.
    if kick[0] >= 0:
        epoll_ctl(front_end.epoll, EPOLL_CTL_DEL, kick[0], NULL)
        close_file(kick)
