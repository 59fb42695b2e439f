# The packets of virtio-vsock: virtio 1.2, section 5.10.6.

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef enum:
    HOST_CID = 2
    STREAM_TYPE = 1
    HEADER_BYTES = 44
    # Flags of a SHUTDOWN: its sender will not receive, not send any more.
    RECEIVES_NO_MORE = 1
    SENDS_NO_MORE = 2
    NO_MORE = 3


cdef enum Operation:
    INVALID = 0
    REQUEST = 1
    RESPONSE = 2
    RESET = 3
    SHUTDOWN = 4
    PAYLOAD = 5
    CREDIT_UPDATE = 6
    CREDIT_REQUEST = 7
    OPERATIONS = 8


cdef packed struct Header:
    uint64_t source_cid
    uint64_t destination_cid
    uint32_t source_port
    uint32_t destination_port
    uint32_t size
    uint16_t type
    uint16_t operation
    uint32_t flags
    uint32_t buffer_size   # how much the sender can hold for this stream
    uint32_t forwarded     # how much of what it got it has passed on, modulo 2**32
