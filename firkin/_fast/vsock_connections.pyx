"""How streams begin: the guest connects to a unix socket of the host's, or the host to one of the device's."""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset

from .vsock_host cimport abort_stream
from .vsock_relay cimport Listener, PATH_BYTES, Relay, STREAM_EVENT, event_key, refuse
from .vsock_streams cimport (
    ASKING_GUEST, ASKING_HOST, NO_STREAM, OPEN, SEND_REQUEST, SEND_RESPONSE, Stream, add_stream, drop_stream,
    free_host_port, notify_guest,
)
from .vsock_syscalls cimport (
    AF_UNIX, CLOCK_MONOTONIC, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLL_CTL_ADD, SOCK_CLOEXEC, SOCK_NONBLOCK,
    SOCK_STREAM, SOL_SOCKET, SO_SNDBUF, accept4, clock_gettime, close_file, connect, epoll_ctl, epoll_event,
    open_socket, setsockopt, sockaddr, sockaddr_un,
)
from .syscalls cimport timespec

cdef enum:
    CONNECT_ATTEMPTS = 1000
    SOCKET_BUFFER_BYTES = 1048576


cdef void connect_to_host(Relay *relay, uint32_t guest_port, uint32_t host_port) noexcept nogil:
    cdef int socket = open_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    cdef int slot = NO_STREAM
    if socket >= 0:
        slot = add_stream(&relay.table, guest_port, host_port, socket)
    if slot == NO_STREAM:
        close_file(&socket)
        relay.counters.streams_refused += 1
        refuse(relay, guest_port, host_port)
        return
    relay.table.streams[slot].state = ASKING_HOST
    relay.asking_host += 1
    _connect(relay, slot)


cdef void connect_again(Relay *relay) noexcept nogil:
    cdef uint64_t now = _milliseconds()
    cdef int slot
    if relay.asking_host == 0 or now - relay.asked_at < RETRY_MILLISECONDS:
        return
    relay.asked_at = now
    for slot in range(relay.table.limit):
        if relay.table.streams[slot].state == ASKING_HOST:
            _connect(relay, slot)


cdef void _connect(Relay *relay, int slot) noexcept nogil:
    # A unix socket is connected at once, or never; EAGAIN says that the listener's queue is full.
    cdef Stream *stream = &relay.table.streams[slot]
    cdef sockaddr_un address
    memset(&address, 0, sizeof(address))
    address.sun_family = AF_UNIX
    memcpy(address.sun_path, relay.host_path, relay.host_path_size)
    snprintf(
        address.sun_path + relay.host_path_size, PATH_BYTES - relay.host_path_size, b"/host-%u.sock", stream.host_port
    )
    if connect(stream.socket, <const sockaddr *>&address, sizeof(address)) < 0:
        stream.attempts += 1
        if errno != EAGAIN or stream.attempts == CONNECT_ATTEMPTS:
            relay.counters.streams_refused += 1
            abort_stream(relay, slot)
        return
    relay.asking_host -= 1
    stream.state = OPEN
    relay.counters.streams_opened += 1
    if _watch(relay, slot) < 0:
        abort_stream(relay, slot)
        return
    notify_guest(&relay.table, slot, SEND_RESPONSE)


cdef void accept_from_host(Relay *relay, int index) noexcept nogil:
    # Those for whom there is no room, or no file, stay in the listener's queue until a stream has ended.
    cdef Listener *listener = &relay.listeners[index]
    cdef int socket
    listener.has_waiting = True
    while relay.table.first_free != NO_STREAM:
        socket = accept4(listener.socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
        if socket >= 0:
            _ask_guest(relay, listener.guest_port, socket)
        elif errno != EINTR and errno != ECONNABORTED:
            listener.has_waiting = errno != EAGAIN
            return


cdef void accept_again(Relay *relay) noexcept nogil:
    cdef int index
    if not relay.table.has_freed:
        return
    relay.table.has_freed = False
    for index in range(relay.listener_count):
        if relay.listeners[index].has_waiting:
            relay.is_busy = True
            accept_from_host(relay, index)


cdef void _ask_guest(Relay *relay, uint32_t guest_port, int socket) noexcept nogil:
    cdef uint32_t host_port = free_host_port(&relay.table, guest_port)
    cdef int slot = add_stream(&relay.table, guest_port, host_port, socket)
    relay.table.streams[slot].state = ASKING_GUEST
    if _watch(relay, slot) < 0:
        drop_stream(&relay.table, slot)
        return
    notify_guest(&relay.table, slot, SEND_REQUEST)


cdef int _watch(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef epoll_event event
    cdef int size = SOCKET_BUFFER_BYTES
    setsockopt(stream.socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size))
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
    event.data.u64 = event_key(STREAM_EVENT, stream.generation, slot)
    return epoll_ctl(relay.epoll, EPOLL_CTL_ADD, stream.socket, &event)


cdef uint64_t _milliseconds() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec // 1000000
