# The back end of vhost-user: the messages by which a VMM lends a device its memory and its rings.

from libc.stdint cimport uint64_t

from .device_end cimport End
from .guest_memory cimport GuestMemory
from .vhost_user_message cimport Message
from .virtqueue cimport Virtqueue

cdef enum:
    RINGS = 2
    RECEIVE_RING = 0
    TRANSMIT_RING = 1


cdef struct FrontEnd:
    End *end
    int connection
    int epoll
    uint64_t guest_cid
    uint64_t features
    uint64_t protocol_features
    bint has_features
    GuestMemory memory
    Virtqueue[RINGS] rings
    # The guest has begun anew, and knows of no stream.
    bint has_restarted
    Message message


cdef void make_front_end(FrontEnd *front_end, End *end, int epoll, uint64_t guest_cid) noexcept nogil
cdef void free_front_end(FrontEnd *front_end) noexcept nogil

# Take the messages that have arrived; -1 with a reason when it is over.
cdef int take_messages(FrontEnd *front_end) noexcept nogil
