# The requests of vhost-user that are about rings; -1 with a reason.

from libc.stdint cimport uint32_t, uint64_t

from .vhost_user cimport FrontEnd
from .vhost_user_message cimport Message


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


cdef int set_ring_size(FrontEnd *front_end, Message *message) noexcept nogil
cdef int set_ring_addresses(FrontEnd *front_end, Message *message) noexcept nogil
cdef int set_ring_base(FrontEnd *front_end, Message *message) noexcept nogil
cdef int get_ring_base(FrontEnd *front_end, Message *message) noexcept nogil
cdef int set_ring_kick(FrontEnd *front_end, Message *message) noexcept nogil
cdef int set_ring_call(FrontEnd *front_end, Message *message) noexcept nogil
cdef int set_ring_error(FrontEnd *front_end, Message *message) noexcept nogil
cdef int enable_ring(FrontEnd *front_end, Message *message) noexcept nogil

# The memory is another, or so are the addresses: find the rings that run anew.
cdef int locate_running_rings(FrontEnd *front_end) noexcept nogil
