# The messages of vhost-user, as they come over its socket.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .device_end cimport End

cdef enum:
    MESSAGE_HEADER_BYTES = 12
    PAYLOAD_MAX = 512
    FILES_MAX = 8
    NEEDS_REPLY = 8  # a flag of the header


cdef packed struct MessageHeader:
    uint32_t request
    uint32_t flags
    uint32_t size


cdef struct Message:
    MessageHeader header
    uint8_t[PAYLOAD_MAX] payload
    int[FILES_MAX] files
    int file_count
    size_t filled  # bytes of it that have arrived, header and payload


# Read on: 1 when the message is whole, 0 when more has to come, -1 with a reason.
cdef int receive_message(int connection, Message *message, End *end) noexcept nogil
# Close the files that nobody kept, and be ready for the next message.
cdef void end_message(Message *message) noexcept nogil

cdef bint is_request(const Message *message) noexcept nogil
# The payload of a request that is a number.
cdef uint64_t number_of(const Message *message) noexcept nogil
# Answer a request; -1 with a reason.
cdef int reply(int connection, const Message *message, const void *payload, uint32_t size, End *end) noexcept nogil
