"""The host's side of the streams: unix sockets, and files that were handed over.

Nothing here blocks. Sockets are watched edge-triggered, so a stream that waits for its peer costs nothing.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from .byte_buffer cimport append, release
from .file_readers cimport HandedFile, take_finished
from .vsock_files cimport STILL_READING, is_regular, read_file, take_file
from .vsock_packet cimport NO_MORE, RECEIVES_NO_MORE, SENDS_NO_MORE
from .vsock_relay cimport Relay, refuse
from .vsock_streams cimport (
    ASKING_GUEST, ASKING_HOST, DATA, DRAINING, FREE, OPEN, SEND_CREDIT_UPDATE, SEND_REQUEST, SEND_SHUTDOWN, Stream,
    drop_file, drop_stream, enqueue, held_bytes, notify_guest,
)
from .vsock_syscalls cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, MSG_CMSG_CLOEXEC,
    MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SHUT_RD, SHUT_WR, SOL_SOCKET, cmsghdr, iovec, msghdr, read, recvmsg, send,
    sendmsg, shutdown,
)

cdef enum:
    CONTROL_BYTES = 64  # room for one file of SCM_RIGHTS
    FILE_REFUSED = -2


cdef ssize_t read_host(Relay *relay, int slot, iovec *pieces, int count) noexcept nogil:
    cdef Stream *stream = &relay.table.streams[slot]
    cdef ssize_t size
    if stream.file != NULL:
        size = read_file(relay.table.readers, stream.file, pieces, count)
        if size == STILL_READING:
            relay.counters.reads_awaited += 1
            return NOTHING_YET
        if size > 0:
            return size
        drop_file(&relay.table, slot)
        if size < 0:
            abort_stream(relay, slot)
            return NOTHING_YET
    size = _receive(relay, slot, pieces, count)
    if size == FILE_REFUSED:
        abort_stream(relay, slot)
        return NOTHING_YET
    if size > 0 and stream.file != NULL:
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


cdef ssize_t _receive(Relay *relay, int slot, iovec *pieces, int count) noexcept nogil:
    # A file comes with the last byte of what one call reads: unix(7), SCM_RIGHTS.
    cdef Stream *stream = &relay.table.streams[slot]
    cdef char[CONTROL_BYTES] control
    cdef msghdr message
    cdef cmsghdr *ancillary
    cdef int file
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
        memcpy(&file, CMSG_DATA(ancillary), sizeof(int))
        stream.file = take_file(relay.table.readers, slot, file)
        if stream.file == NULL or not is_regular(stream.file):
            return FILE_REFUSED
    return size


cdef void on_files_read(Relay *relay) noexcept nogil:
    cdef HandedFile *file
    cdef uint64_t count
    read(relay.table.readers.event, &count, sizeof(count))
    file = take_finished(relay.table.readers)
    while file != NULL:
        enqueue(&relay.table, file.slot, DATA)
        file = take_finished(relay.table.readers)


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
