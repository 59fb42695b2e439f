"""The messages of vhost-user: whole ones, with the files that came along."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .device_end cimport (
    End, IS_GONE, MESSAGE_MALFORMED, NO_PROBLEM, REPLY_NOT_TAKEN, ended, front_end_broke,
)
from .vsock_syscalls cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL,
    SCM_RIGHTS, SOL_SOCKET, close_file, cmsghdr, iovec, msghdr, recvmsg, send,
)

cdef enum:
    VERSION = 1
    VERSION_MASK = 3
    IS_REPLY = 4
    CONTROL_BYTES = 128  # room for FILES_MAX files


cdef int receive_message(int connection, Message *message, End *end) noexcept nogil:
    cdef char *place
    cdef size_t wanted
    cdef ssize_t size
    while True:
        if message.filled < MESSAGE_HEADER_BYTES:
            wanted = MESSAGE_HEADER_BYTES - message.filled
            size = _read(connection, message, end, <char *>&message.header + message.filled, wanted)
        else:
            if message.header.size > PAYLOAD_MAX:
                return front_end_broke(end, MESSAGE_MALFORMED, message.header.request)
            wanted = MESSAGE_HEADER_BYTES + message.header.size - message.filled
            if wanted == 0:
                return 1
            place = <char *>message.payload + message.filled - MESSAGE_HEADER_BYTES
            size = _read(connection, message, end, place, wanted)
        if size <= 0:
            return <int>size
        message.filled += <size_t>size


cdef ssize_t _read(int connection, Message *message, End *end, char *place, size_t wanted) noexcept nogil:
    # Bytes read, 0 when there are none yet, or -1 with a reason.
    cdef char[CONTROL_BYTES] control
    cdef iovec piece
    cdef msghdr header
    cdef ssize_t size
    piece.iov_base = place
    piece.iov_len = wanted
    memset(&header, 0, sizeof(header))
    header.msg_iov = &piece
    header.msg_iovlen = 1
    header.msg_control = control
    header.msg_controllen = CMSG_LEN(FILES_MAX * sizeof(int))
    size = recvmsg(connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if size < 0 and (errno == EAGAIN or errno == EINTR):
        return 0
    if size <= 0:
        return ended(end, IS_GONE, NO_PROBLEM, 0)
    if not _keep_files(message, &header) or header.msg_flags & MSG_CTRUNC:
        return front_end_broke(end, MESSAGE_MALFORMED, 0)
    return size


cdef bint _keep_files(Message *message, msghdr *header) noexcept nogil:
    # False when there are more of them than a message may have.
    cdef cmsghdr *control = CMSG_FIRSTHDR(header)
    cdef bint fits = True
    cdef int *files
    cdef size_t count
    cdef size_t index
    while control != NULL:
        if control.cmsg_level == SOL_SOCKET and control.cmsg_type == SCM_RIGHTS:
            files = <int *>CMSG_DATA(control)
            count = (control.cmsg_len - CMSG_LEN(0)) >> 2
            for index in range(count):
                if message.file_count < FILES_MAX:
                    message.files[message.file_count] = files[index]
                    message.file_count += 1
                else:
                    close_file(&files[index])
                    fits = False
        control = CMSG_NXTHDR(header, control)
    return fits


cdef void end_message(Message *message) noexcept nogil:
    cdef int index
    for index in range(message.file_count):
        close_file(&message.files[index])
    message.file_count = 0
    message.filled = 0


cdef bint is_request(const Message *message) noexcept nogil:
    return message.header.flags & VERSION_MASK == VERSION and not message.header.flags & IS_REPLY


cdef uint64_t number_of(const Message *message) noexcept nogil:
    cdef uint64_t number
    memcpy(&number, message.payload, sizeof(number))
    return number


cdef int reply(
    int connection, const Message *message, const void *payload, uint32_t size, End *end
) noexcept nogil:
    # Replies are small, so a socket that has no room belongs to a front end that does not read.
    cdef uint8_t[MESSAGE_HEADER_BYTES + PAYLOAD_MAX] answer
    cdef MessageHeader header
    header.request = message.header.request
    header.flags = VERSION | IS_REPLY
    header.size = size
    memcpy(answer, &header, MESSAGE_HEADER_BYTES)
    memcpy(answer + MESSAGE_HEADER_BYTES, payload, size)
    size += MESSAGE_HEADER_BYTES
    if send(connection, answer, size, MSG_DONTWAIT | MSG_NOSIGNAL) == <ssize_t>size:
        return 0
    if errno == EAGAIN:
        return front_end_broke(end, REPLY_NOT_TAKEN, message.header.request)
    return ended(end, IS_GONE, NO_PROBLEM, 0)
