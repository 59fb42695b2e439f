"""The back end of vhost-user ("Vhost-user Protocol", QEMU's documentation): one table of requests.

A front end that breaks the protocol ends the device.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .device_end cimport End, MESSAGE_MALFORMED, MESSAGE_UNKNOWN, front_end_broke
from .guest_memory cimport GuestMemory, REGIONS_MAX, RegionDescription, map_region, unmap_memory
from .vhost_user_message cimport (
    FILES_MAX, Message, NEEDS_REPLY, end_message, is_request, number_of, receive_message, reply,
)
from .vhost_user_rings cimport (
    RingAddresses, RingState, enable_ring, get_ring_base, locate_running_rings, set_ring_addresses, set_ring_base,
    set_ring_call, set_ring_error, set_ring_kick, set_ring_size,
)
from .vsock_syscalls cimport close_file

cdef enum:
    MESSAGES_A_TURN = 16
    CONFIG_HEADER_BYTES = 12
    CONFIG_ANSWER_BYTES = 20

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
_rule(SET_VRING_NUM, set_ring_size, sizeof(RingState), 0, False)
_rule(SET_VRING_ADDR, set_ring_addresses, sizeof(RingAddresses), 0, False)
_rule(SET_VRING_BASE, set_ring_base, sizeof(RingState), 0, False)
_rule(GET_VRING_BASE, get_ring_base, sizeof(RingState), 0, True)
_rule(SET_VRING_KICK, set_ring_kick, sizeof(uint64_t), 1, False)
_rule(SET_VRING_CALL, set_ring_call, sizeof(uint64_t), 1, False)
_rule(SET_VRING_ERR, set_ring_error, sizeof(uint64_t), 1, False)
_rule(GET_PROTOCOL_FEATURES, _get_protocol_features, 0, 0, True)
_rule(SET_PROTOCOL_FEATURES, _set_protocol_features, sizeof(uint64_t), 0, False)
_rule(SET_VRING_ENABLE, enable_ring, sizeof(RingState), 0, False)
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
    end_message(&front_end.message)
    for index in range(RINGS):
        front_end.rings[index].is_started = False
        close_file(&front_end.rings[index].kick)
        close_file(&front_end.rings[index].call)
    unmap_memory(&front_end.memory)
    close_file(&front_end.connection)


cdef int take_messages(FrontEnd *front_end) noexcept nogil:
    # Not all at once: whoever sends without end must not keep the device from its other work, or from being closed.
    cdef Message *message = &front_end.message
    cdef int _message
    cdef int result
    for _message in range(MESSAGES_A_TURN):
        result = receive_message(front_end.connection, message, front_end.end)
        if result <= 0:
            return result
        result = _handle(front_end, message)
        end_message(message)
        if result < 0:
            return -1
    return 0


cdef int _handle(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint32_t request = message.header.request
    cdef bint needs_reply
    cdef uint64_t success = 0
    if request >= REQUESTS or RULES[request].handler == NULL:
        return front_end_broke(front_end.end, MESSAGE_UNKNOWN, request)
    if (
        not is_request(message)
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


cdef int _reply(FrontEnd *front_end, const Message *message, const void *payload, uint32_t size) noexcept nogil:
    return reply(front_end.connection, message, payload, size, front_end.end)


cdef int _get_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = VERSION_1 | PROTOCOL_FEATURES
    return _reply(front_end, message, &features, sizeof(features))


cdef int _set_features(FrontEnd *front_end, Message *message) noexcept nogil:
    cdef uint64_t features = number_of(message)
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
    cdef uint64_t features = number_of(message)
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
    return locate_running_rings(front_end)
