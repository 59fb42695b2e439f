"""The back end of vhost-user ("Vhost-user Protocol", QEMU's documentation): one table of requests.

A ring stands still until the front end has said where it is and has given the event by which the guest kicks it;
GET_VRING_BASE makes it stand still again. A front end that breaks the protocol ends the device.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset, strcmp

from .device_end cimport (
    End, FRONT_END_GONE, MESSAGE_MALFORMED, MESSAGE_TOO_EARLY, MESSAGE_UNKNOWN, NOT_AN_EVENT, NO_PROBLEM,
    REPLY_NOT_TAKEN, RING_SIZE_REFUSED, RING_UNKNOWN, ended, front_end_broke, host_failed,
)
from .guest_memory cimport GuestMemory, REGIONS_MAX, RegionDescription, map_region, unmap_memory
from .virtqueue cimport RING_SIZE_MAX, Virtqueue, begin_ring, locate_ring
from .vsock_relay cimport KICK_EVENT, event_key
from .vsock_syscalls cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, EPOLLET, EPOLLIN, EPOLL_CTL_ADD, EPOLL_CTL_DEL,
    MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, SCM_RIGHTS, SOL_SOCKET, close_file, cmsghdr, epoll_ctl,
    epoll_event, iovec, msghdr, readlink, recvmsg, send,
)

cdef enum:
    # Flags of a message.
    VERSION = 1
    VERSION_MASK = 3
    IS_REPLY = 4
    NEEDS_REPLY = 8
    # Of the number of a ring that comes with a file.
    RING_MASK = 0xff
    HAS_NO_FILE = 0x100
    CONFIG_HEADER_BYTES = 12
    CONFIG_ANSWER_BYTES = 20
    CONTROL_BYTES = 128  # room for FILES_MAX files

cdef uint64_t VERSION_1 = <uint64_t>1 << 32
cdef uint64_t PROTOCOL_FEATURES = <uint64_t>1 << 30
cdef uint64_t REPLY_ACK = <uint64_t>1 << 3
cdef uint64_t CONFIG = <uint64_t>1 << 9


cdef enum Request:
    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    SET_VRING_ENABLE = 18
    GET_CONFIG = 24
    REQUESTS = 25


cdef packed struct RingState:
    uint32_t ring
    uint32_t number


cdef packed struct RingAddresses:
    uint32_t ring
    uint32_t flags
    uint64_t descriptors
    uint64_t used
    uint64_t available
    uint64_t log


cdef packed struct MemoryTable:
    uint32_t count
    uint32_t padding
    RegionDescription[REGIONS_MAX] regions


cdef packed struct ConfigRange:
    uint32_t offset
    uint32_t size
    uint32_t flags


ctypedef int (*Handler)(FrontEnd *, Message *) noexcept nogil


# A request: who handles it, how large it is at least, how many files may come with it, and whether its answer is
# more than an acknowledgement.
cdef struct Rule:
    Handler handler
    uint32_t size
    int files
    bint has_answer


cdef Rule[REQUESTS] RULES


cdef void _rule(Request request, Handler handler, uint32_t size, int files, bint has_answer) noexcept:
    RULES[<int>request].handler = handler
    RULES[<int>request].size = size
    RULES[<int>request].files = files
    RULES[<int>request].has_answer = has_answer


_rule(GET_FEATURES, _get_features, 0, 0, True)
_rule(SET_FEATURES, _set_features, sizeof(uint64_t), 0, False)
_rule(SET_OWNER, _set_owner, 0, 0, False)
_rule(RESET_OWNER, _set_owner, 0, 0, False)
_rule(SET_MEM_TABLE, _set_memory, 8, FILES_MAX, False)
_rule(SET_VRING_NUM, _set_ring_size, sizeof(RingState), 0, False)
_rule(SET_VRING_ADDR, _set_ring_addresses, sizeof(RingAddresses), 0, False)
_rule(SET_VRING_BASE, _set_ring_base, sizeof(RingState), 0, False)
_rule(GET_VRING_BASE, _get_ring_base, sizeof(RingState), 0, True)
_rule(SET_VRING_KICK, _set_ring_kick, sizeof(uint64_t), 1, False)
_rule(SET_VRING_CALL, _set_ring_call, sizeof(uint64_t), 1, False)
_rule(SET_VRING_ERR, _set_ring_error, sizeof(uint64_t), 1, False)
_rule(GET_PROTOCOL_FEATURES, _get_protocol_features, 0, 0, True)
_rule(SET_PROTOCOL_FEATURES, _set_protocol_features, sizeof(uint64_t), 0, False)
_rule(SET_VRING_ENABLE, _enable_ring, sizeof(RingState), 0, False)
_rule(GET_CONFIG, _get_config, CONFIG_HEADER_BYTES, 0, True)


cdef void make_front_end(FrontEnd *front_end, End *end, int epoll, uint64_t guest_cid) noexcept nogil:
    cdef int index
    memset(front_end, 0, sizeof(FrontEnd))
    front_end.end = end
    front_end.epoll = epoll
    front_end.guest_cid = guest_cid
    front_end.connection = -1
    for index in range(RINGS):
        front_end.rings[index].kick = front_end.rings[index].call = -1
    front_end.rings[<int>RECEIVE_RING].is_receive = True


cdef void free_front_end(FrontEnd *front_end) noexcept nogil:
    cdef int index
    _close_files(&front_end.message)
    for index in range(RINGS):
        front_end.rings[index].is_started = False
        close_file(&front_end.rings[index].kick)
        close_file(&front_end.rings[index].call)
    unmap_memory(&front_end.memory)
    close_file(&front_end.connection)


cdef int take_messages(FrontEnd *front_end) noexcept nogil:
    cdef Message *message = &front_end.message
    cdef int result = _receive(front_end)
    while result > 0:
        result = _handle(front_end, message)
        _close_files(message)
        message.filled = 0
        if result == 0:
            result = _receive(front_end)
    return result


cdef int _receive(FrontEnd *front_end) noexcept nogil:
    # 1 when the message is whole, 0 when more has to come.
    cdef Message *message = &front_end.message
    cdef size_t wanted
    cdef ssize_t size
    while True:
        if message.filled < MESSAGE_HEADER_BYTES:
            wanted = MESSAGE_HEADER_BYTES - message.filled
            size = _read(front_end, <char *>&message.header + message.filled, wanted)
        else:
            if message.header.size > PAYLOAD_MAX:
                return front_end_broke(front_end.end, MESSAGE_MALFORMED, message.header.request)
            wanted = MESSAGE_HEADER_BYTES + message.header.size - message.filled
            if wanted == 0:
                return 1
            size = _read(front_end, <char *>message.payload + message.filled - MESSAGE_HEADER_BYTES, wanted)
        if size <= 0:
            return <int>size
        message.filled += <size_t>size


cdef ssize_t _read(FrontEnd *front_end, char *place, size_t wanted) noexcept nogil:
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
    size = recvmsg(front_end.connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if size < 0 and (errno == EAGAIN or errno == EINTR):
        return 0
    if size <= 0:
        return ended(front_end.end, FRONT_END_GONE, NO_PROBLEM, 0)
    if not _keep_files(&front_end.message, &header) or header.msg_flags & MSG_CTRUNC:
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, 0)
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


cdef void _close_files(Message *message) noexcept nogil:
    cdef int index
    for index in range(message.file_count):
        close_file(&message.files[index])
    message.file_count = 0


cdef int _handle(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint32_t request = message.header.request
    cdef bint needs_reply
    cdef uint64_t success = 0
    if request >= REQUESTS or RULES[request].handler == NULL:
        return front_end_broke(front_end.end, MESSAGE_UNKNOWN, request)
    if (
        message.header.flags & VERSION_MASK != VERSION
        or message.header.flags & IS_REPLY
        or message.header.size < RULES[request].size
        or message.file_count > RULES[request].files
    ):
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, request)
    needs_reply = message.header.flags & NEEDS_REPLY and front_end.protocol_features & REPLY_ACK
    if RULES[request].handler(front_end, message) < 0:
        return -1
    if needs_reply and not RULES[request].has_answer:
        return _reply(front_end, message, &success, sizeof(success))
    return 0


cdef int _reply(FrontEnd *front_end, Message *message, const void *payload, uint32_t size) noexcept nogil:
    # Replies are small, so a socket that has no room belongs to a front end that does not read.
    cdef uint8_t[MESSAGE_HEADER_BYTES + PAYLOAD_MAX] reply
    cdef MessageHeader header
    header.request = message.header.request
    header.flags = VERSION | IS_REPLY
    header.size = size
    memcpy(reply, &header, MESSAGE_HEADER_BYTES)
    memcpy(reply + MESSAGE_HEADER_BYTES, payload, size)
    size += MESSAGE_HEADER_BYTES
    if send(front_end.connection, reply, size, MSG_DONTWAIT | MSG_NOSIGNAL) == <ssize_t>size:
        return 0
    if errno == EAGAIN:
        return front_end_broke(front_end.end, REPLY_NOT_TAKEN, message.header.request)
    return ended(front_end.end, FRONT_END_GONE, NO_PROBLEM, 0)


cdef uint64_t _number(const Message *message) noexcept nogil:
    cdef uint64_t number
    memcpy(&number, message.payload, sizeof(number))
    return number


cdef Virtqueue *_ring(FrontEnd *front_end, const Message *message, uint64_t index) noexcept nogil:
    if index >= RINGS:
        front_end_broke(front_end.end, RING_UNKNOWN, <long long>index)
        return NULL
    return &front_end.rings[index]


cdef int _get_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = VERSION_1 | PROTOCOL_FEATURES
    return _reply(front_end, message, &features, sizeof(features))


cdef int _set_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = _number(message)
    cdef int index
    if features & ~(VERSION_1 | PROTOCOL_FEATURES):
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, SET_FEATURES)
    front_end.features = features
    front_end.has_features = True
    if not features & PROTOCOL_FEATURES:
        # Without them there is no SET_VRING_ENABLE.
        for index in range(RINGS):
            front_end.rings[index].is_enabled = True
    return 0


cdef int _get_protocol_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = REPLY_ACK | CONFIG
    return _reply(front_end, message, &features, sizeof(features))


cdef int _set_protocol_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = _number(message)
    if features & ~(REPLY_ACK | CONFIG):
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, SET_PROTOCOL_FEATURES)
    front_end.protocol_features = features
    return 0


cdef int _set_owner(FrontEnd *front_end, Message *message) noexcept nogil:
    return 0


cdef int _get_config(FrontEnd *front_end, Message *message) noexcept nogil:
    # virtio 1.2, section 5.10.4: the guest's cid. An answer without payload says that there is no such range.
    cdef ConfigRange wanted
    cdef uint8_t[CONFIG_ANSWER_BYTES] answer
    memcpy(&wanted, message.payload, CONFIG_HEADER_BYTES)
    memset(answer, 0, CONFIG_ANSWER_BYTES)
    if wanted.offset > sizeof(uint64_t) or wanted.size > sizeof(uint64_t) - wanted.offset:
        return _reply(front_end, message, answer, 0)
    memcpy(answer, &wanted, CONFIG_HEADER_BYTES)
    memcpy(answer + CONFIG_HEADER_BYTES, <uint8_t *>&front_end.guest_cid + wanted.offset, wanted.size)
    return _reply(front_end, message, answer, CONFIG_HEADER_BYTES + wanted.size)


cdef int _set_memory(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef MemoryTable table
    cdef GuestMemory memory
    cdef uint32_t index
    memset(&table, 0, sizeof(table))
    memcpy(&table, message.payload, min(<size_t>message.header.size, sizeof(table)))
    if (
        table.count > REGIONS_MAX
        or <int>table.count != message.file_count
        or message.header.size < 8 + table.count * sizeof(RegionDescription)
    ):
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, SET_MEM_TABLE)
    memory.count = 0
    for index in range(table.count):
        if map_region(&memory, &table.regions[index], message.files[index], front_end.end) < 0:
            unmap_memory(&memory)
            return -1
    unmap_memory(&front_end.memory)
    front_end.memory = memory
    return _locate_running_rings(front_end)


cdef int _locate_running_rings(FrontEnd *front_end) noexcept nogil:
    cdef int index
    for index in range(RINGS):
        if front_end.rings[index].is_started:
            if locate_ring(&front_end.rings[index], &front_end.memory, front_end.end) < 0:
                front_end.rings[index].is_started = False
                return -1
    return 0


cdef int _set_ring_size(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, message, state.ring)
    if ring == NULL:
        return -1
    # A power of two: virtio 1.2, section 2.7.
    if state.number == 0 or state.number > RING_SIZE_MAX or state.number & (state.number - 1) or ring.is_started:
        return front_end_broke(front_end.end, RING_SIZE_REFUSED, state.number)
    ring.size = state.number
    return 0


cdef int _set_ring_addresses(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingAddresses addresses
    cdef Virtqueue *ring
    memcpy(&addresses, message.payload, sizeof(addresses))
    ring = _ring(front_end, message, addresses.ring)
    if ring == NULL:
        return -1
    ring.descriptors_address = addresses.descriptors
    ring.available_address = addresses.available
    ring.used_address = addresses.used
    ring.has_addresses = True
    return _locate_running_rings(front_end)


cdef int _set_ring_base(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, message, state.ring)
    if ring == NULL:
        return -1
    if ring.is_started or state.number > 0xffff:
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, SET_VRING_BASE)
    ring.last_available = <uint16_t>state.number
    # A paused machine goes on where it was; one that was reset begins anew, and its streams are no more.
    if ring.was_stopped and state.number != ring.stopped_at:
        front_end.has_restarted = True
    return 0


cdef int _get_ring_base(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, message, state.ring)
    if ring == NULL:
        return -1
    state.number = ring.last_available
    ring.stopped_at = ring.last_available
    ring.was_stopped = True
    ring.is_started = False
    _unwatch(front_end, &ring.kick)
    close_file(&ring.call)
    return _reply(front_end, message, &state, sizeof(state))


cdef int _set_ring_kick(FrontEnd *front_end, Message *message) noexcept nogil:
    # Its first kick is taken for granted: the ring is looked at in the turn that follows.
    cdef uint64_t index = _number(message)
    cdef Virtqueue *ring = _ring(front_end, message, index & RING_MASK)
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


cdef int _set_ring_call(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t index = _number(message)
    cdef Virtqueue *ring = _ring(front_end, message, index & RING_MASK)
    if ring == NULL:
        return -1
    close_file(&ring.call)
    return _take_event(front_end, message, index, &ring.call)


cdef int _set_ring_error(FrontEnd *front_end, Message *message) noexcept nogil:
    # A broken ring ends the device, which closes the connection: there is no other sign of it.
    return 0 if _ring(front_end, message, _number(message) & RING_MASK) != NULL else -1


cdef int _enable_ring(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef RingState state
    cdef Virtqueue *ring
    memcpy(&state, message.payload, sizeof(state))
    ring = _ring(front_end, message, state.ring)
    if ring == NULL:
        return -1
    ring.is_enabled = state.number != 0
    return 0


cdef int _take_event(FrontEnd *front_end, Message *message, uint64_t index, int *place) noexcept nogil:
    # Anything but an eventfd could block whoever writes to it.
    if index & HAS_NO_FILE:
        return 0
    if message.file_count != 1:
        return front_end_broke(front_end.end, MESSAGE_MALFORMED, message.header.request)
    if not _is_event(message.files[0]):
        return front_end_broke(front_end.end, NOT_AN_EVENT, message.header.request)
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
