# The streams of one device: a bounded table, found by their ports, and the order in which they are served.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .byte_buffer cimport ByteBuffer
from .file_readers cimport FileReaders, HandedFile
from .vsock_files cimport is_awaited

cdef enum:
    NO_STREAM = -1


cdef enum StreamState:
    FREE = 0
    ASKING_GUEST   # the host has connected; the guest is yet to respond
    ASKING_HOST    # the guest has connected; the host's listener has no room in its queue just now
    OPEN
    DRAINING       # the guest has ended both ways; what it sent is still on its way to the host
    STREAM_STATES


# What is to be told to the guest, one bit each, in the order of sending.
cdef enum Notice:
    SEND_REQUEST = 1
    SEND_RESPONSE = 2
    SEND_CREDIT_UPDATE = 4
    SEND_CREDIT_REQUEST = 8
    SEND_SHUTDOWN = 16


cdef enum Lane:
    NOTICES = 0
    DATA = 1
    LANES = 2


cdef struct Stream:
    StreamState state
    uint32_t guest_port
    uint32_t host_port
    int socket
    HandedFile *file        # what the host handed over, to be sent before anything else of the socket, or NULL
    uint32_t generation     # tells events of this stream from late ones of its slot's earlier stream
    # Host to guest: how far the guest lets us go.
    uint32_t sent
    uint32_t guest_buffer_size
    uint32_t guest_forwarded
    uint32_t asked_at       # `sent` when credit was last asked for
    bint has_asked
    bint is_readable        # the socket may have something
    int batch               # how many buffers the last read could fill
    uint32_t turn_left      # bytes of its turn that are left to it; 0 when it has none
    # Guest to host: how far we let the guest go.
    uint32_t received
    uint32_t forwarded
    uint32_t announced      # `forwarded`, as the guest was last told
    ByteBuffer held         # what the socket did not take yet
    size_t held_from
    # Which directions have ended, in flags of SHUTDOWN: the guest's as it said, ours as they are, and as it was told.
    uint8_t guest_ended
    uint8_t host_ended
    uint8_t told_ended
    uint8_t shut            # directions of the socket that were shut down, in the same flags
    int attempts            # to connect to the host
    uint8_t notices
    bint is_known           # to the guest: it is found by its ports
    int next_in_bucket
    bint[2] is_queued
    int[2] next_in_lane


cdef struct Queue:
    int first
    int last


cdef struct StreamTable:
    Stream *streams
    int *buckets
    int limit
    int bucket_count
    int open_count
    int first_free
    bint has_freed  # streams have ended since this was last looked at
    uint64_t salt
    uint32_t next_port
    Queue[2] lanes
    FileReaders *readers    # of the files


cdef int make_table(StreamTable *table, int limit, uint64_t salt) noexcept nogil
# Its readers are forgotten: they may outlive it.
cdef void free_table(StreamTable *table) noexcept nogil

# The stream between these ports, or NO_STREAM.
cdef int find_stream(const StreamTable *table, uint32_t guest_port, uint32_t host_port) noexcept nogil
# A new stream in state FREE, which owns `socket`; NO_STREAM when there are too many.
cdef int add_stream(StreamTable *table, uint32_t guest_port, uint32_t host_port, int socket) noexcept nogil
# What of the stream comes next does not come out of its file.
cdef void drop_file(StreamTable *table, int slot) noexcept nogil
# The guest is done with these ports, and may use them anew.
cdef void forget_ports(StreamTable *table, int slot) noexcept nogil
# Close what it owns; the slot is free.
cdef void drop_stream(StreamTable *table, int slot) noexcept nogil
# A port of the host's that is free with this port of the guest's.
cdef uint32_t free_host_port(StreamTable *table, uint32_t guest_port) noexcept nogil

# Wait in a lane, at its end; once, however often it is said.
cdef void enqueue(StreamTable *table, int slot, Lane lane) noexcept nogil
# The lane's first stream, taken out; NO_STREAM when it is empty.
cdef int dequeue(StreamTable *table, Lane lane) noexcept nogil
# Back to the front, since it could not be served.
cdef void enqueue_first(StreamTable *table, int slot, Lane lane) noexcept nogil


cdef inline void notify_guest(StreamTable *table, int slot, int notices) noexcept nogil:
    table.streams[slot].notices |= <uint8_t>notices
    enqueue(table, slot, NOTICES)


cdef inline uint32_t credit(const Stream *stream) noexcept nogil:
    # How many bytes the guest takes; counts are modulo 2**32, and a guest that counts wrongly gets nothing.
    cdef uint32_t in_flight = stream.sent - stream.guest_forwarded
    return stream.guest_buffer_size - in_flight if in_flight < stream.guest_buffer_size else 0


cdef inline size_t held_bytes(const Stream *stream) noexcept nogil:
    return stream.held.size - stream.held_from


cdef inline bint may_send(const Stream *stream) noexcept nogil:
    # Whether there may be something to read for the guest, without waiting for it.
    return stream.is_readable if stream.file == NULL else not is_awaited(stream.file)
