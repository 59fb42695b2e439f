"""The host's side of the streams: unix sockets, and files that were handed over.

Nothing here blocks, save the disk under a file that was handed over. Sockets are watched edge-triggered, so a stream
that waits for its peer costs nothing.
"""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno
from libc.stdint cimport uint32_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memmove, memset

from .byte_buffer cimport append, release
from .vsock_packet cimport NO_MORE, RECEIVES_NO_MORE, SENDS_NO_MORE
from .vsock_relay cimport Listener, PATH_BYTES, Relay, STREAM_EVENT, event_key, refuse
from .vsock_streams cimport (
    ASKING_GUEST, ASKING_HOST, DATA, DRAINING, FREE, NO_STREAM, OPEN, SEND_CREDIT_UPDATE, SEND_REQUEST, SEND_RESPONSE,
    SEND_SHUTDOWN, Stream, add_stream, drop_stream, enqueue, free_host_port, held_bytes, notify_guest,
)
from .vsock_syscalls cimport (
    AF_UNIX, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP,
    EPOLL_CTL_ADD, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, POSIX_FADV_SEQUENTIAL, SCM_RIGHTS, SHUT_RD, SHUT_WR,
    SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, SO_SNDBUF, S_ISREG, accept4, close_file, cmsghdr,
    connect, epoll_ctl, epoll_event, file_status, fstat, iovec, msghdr, open_socket, posix_fadvise, readv, recvmsg,
    send, sendmsg, setsockopt, shutdown, sockaddr, sockaddr_un,
)

cdef enum:
    CONNECT_ATTEMPTS = 1000
    SOCKET_BUFFER_BYTES = 1048576
    CONTROL_BYTES = 64  # room for one file of SCM_RIGHTS
    FILE_REFUSED = -2


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
    cdef int slot
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


cdef ssize_t read_host(Relay *relay, int slot, iovec *pieces, int count) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef ssize_t size
    if stream.file >= 0:
        size = readv(stream.file, pieces, count)
        if size > 0:
            return size
        close_file(&stream.file)
        if size < 0:
            abort_stream(relay, slot)
            return NOTHING_YET
    size = _receive(stream, pieces, count)
    if size == FILE_REFUSED:
        abort_stream(relay, slot)
        return NOTHING_YET
    if size > 0 and stream.file >= 0:
        # The last byte only carried the file.
        return size - 1 if size > 1 else read_host(relay, slot, pieces, count)
    if size < 0 and (errno == EAGAIN or errno == EINTR):
        stream.is_readable = errno == EINTR
        return NOTHING_YET
    if size > 0:
        return size
    stream.is_readable = False
    stream.host_ended |= SENDS_NO_MORE if size == 0 else NO_MORE
    settle(relay, slot)
    return END_OF_STREAM


cdef ssize_t _receive(Stream *stream, iovec *pieces, int count) noexcept nogil:
    # A file comes with the last byte of what one call reads: unix(7), SCM_RIGHTS.
    cdef char[CONTROL_BYTES] control
    cdef msghdr message
    cdef cmsghdr *ancillary
    cdef file_status status
    cdef ssize_t size
    memset(&message, 0, sizeof(message))
    message.msg_iov = pieces
    message.msg_iovlen = count
    message.msg_control = control
    message.msg_controllen = CMSG_LEN(sizeof(int))
    size = recvmsg(stream.socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if size <= 0 or message.msg_controllen == 0:
        return size
    ancillary = CMSG_FIRSTHDR(&message)
    if ancillary != NULL and ancillary.cmsg_level == SOL_SOCKET and ancillary.cmsg_type == SCM_RIGHTS:
        memcpy(&stream.file, CMSG_DATA(ancillary), sizeof(int))
        if fstat(stream.file, &status) < 0 or not S_ISREG(status.st_mode):
            return FILE_REFUSED
        posix_fadvise(stream.file, 0, 0, POSIX_FADV_SEQUENTIAL)
    return size


cdef void write_host(Relay *relay, int slot, iovec *pieces, int count, uint32_t size) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef msghdr message
    cdef ssize_t written = 0
    if stream.host_ended & RECEIVES_NO_MORE:
        stream.forwarded += size
        settle(relay, slot)
        return
    if held_bytes(stream) == 0:
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        message.msg_iovlen = count
        written = sendmsg(stream.socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
        if written < 0 and errno != EAGAIN and errno != EINTR:
            _lose_reader(relay, slot)
            stream.forwarded += size
            settle(relay, slot)
            return
        if written < 0:
            written = 0
    stream.forwarded += <uint32_t>written
    if <uint32_t>written < size and _hold(relay, stream, pieces, count, written) < 0:
        abort_stream(relay, slot)
        return
    settle(relay, slot)


cdef int _hold(Relay *relay, Stream *stream, iovec *pieces, int count, size_t written) noexcept nogil:
    # What is left of the pieces; the window bounds it.
    cdef size_t size
    cdef int index
    if stream.held_from:
        memmove(stream.held.data, stream.held.data + stream.held_from, held_bytes(stream))
        stream.held.size -= stream.held_from
        stream.held_from = 0
    for index in range(count):
        size = pieces[index].iov_len
        if written >= size:
            written -= size
            continue
        if append(&stream.held, <char *>pieces[index].iov_base + written, size - written) < 0:
            return -1
        relay.counters.bytes_held += size - written
        written = 0
    return 0


cdef void _flush(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef ssize_t written
    while held_bytes(stream):
        written = send(
            stream.socket, stream.held.data + stream.held_from, held_bytes(stream), MSG_DONTWAIT | MSG_NOSIGNAL
        )
        if written < 0:
            if errno == EAGAIN:
                return
            if errno != EINTR:
                _lose_reader(relay, slot)
            continue
        stream.held_from += <size_t>written
        stream.forwarded += <uint32_t>written
    release(&stream.held)
    stream.held_from = 0


cdef void _lose_reader(Relay *relay, int slot) noexcept nogil:
    # The host reads no more: what it has not taken is of no use.
    cdef Stream *stream = &relay.table.streams[slot]
    stream.host_ended |= RECEIVES_NO_MORE
    stream.forwarded += <uint32_t>held_bytes(stream)
    release(&stream.held)
    stream.held_from = 0


cdef void on_stream_event(Relay *relay, int slot, uint32_t generation, uint32_t events) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.state == FREE or stream.generation & 0xffffff != generation:
        return
    if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
        stream.is_readable = True
    if events & EPOLLHUP:
        if stream.state == ASKING_GUEST:
            # Nobody is there any more to hear the guest's answer.
            _leave_guest(relay, slot)
            return
        _lose_reader(relay, slot)
    elif events & EPOLLOUT and held_bytes(stream):
        _flush(relay, slot)
    settle(relay, slot)


cdef void _leave_guest(Relay *relay, int slot) noexcept nogil:
    if relay.table.streams[slot].notices & SEND_REQUEST:
        drop_stream(&relay.table, slot)
    else:
        abort_stream(relay, slot)


cdef void settle(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.state != OPEN and stream.state != DRAINING:
        return
    if held_bytes(stream) == 0:
        if stream.guest_ended == NO_MORE:
            abort_stream(relay, slot)
            return
        if stream.guest_ended & SENDS_NO_MORE & ~stream.shut:
            stream.shut |= SENDS_NO_MORE
            shutdown(stream.socket, SHUT_WR)
    if stream.guest_ended & RECEIVES_NO_MORE & ~stream.shut:
        stream.shut |= RECEIVES_NO_MORE
        shutdown(stream.socket, SHUT_RD)
    if stream.guest_ended == NO_MORE:
        stream.state = DRAINING
        return
    if stream.host_ended & ~stream.told_ended:
        notify_guest(&relay.table, slot, SEND_SHUTDOWN)
    if stream.forwarded - stream.announced >= relay.window / 2:
        notify_guest(&relay.table, slot, SEND_CREDIT_UPDATE)
    if stream.is_readable and not stream.guest_ended & RECEIVES_NO_MORE:
        enqueue(&relay.table, slot, DATA)


cdef void abort_stream(Relay *relay, int slot) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    if stream.is_known:
        refuse(relay, stream.guest_port, stream.host_port)
    if stream.state == ASKING_HOST:
        relay.asking_host -= 1
    drop_stream(&relay.table, slot)


cdef void drop_all_streams(Relay *relay) noexcept nogil:
    cdef int slot
    for slot in range(relay.table.limit):
        if relay.table.streams[slot].state != FREE:
            drop_stream(&relay.table, slot)
    relay.asking_host = 0
    relay.refusal_count = 0
