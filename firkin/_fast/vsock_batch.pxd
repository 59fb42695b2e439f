# Buffers of the guest's receive ring, taken together.

from libc.stdint cimport uint32_t

from .vsock_packet cimport Header
from .vsock_relay cimport Relay

cdef enum:
    TURN_BYTES = 65536  # of one stream, before the next one has its turn
    NO_BUFFER = 0
    GATHERED = 1


# Look at buffers until they hold so many bytes, or are so many: GATHERED into the relay's batch, whose payload pieces
# hold no more than is allowed, NO_BUFFER, or -1 when the guest broke the ring. They stay in the ring.
cdef int gather(Relay *relay, uint32_t allowed, int chains) noexcept nogil
# The batch's buffer `index` goes back to the guest, header first; always in the batch's order.
cdef void give(Relay *relay, int index, uint32_t size, const Header *header) noexcept nogil
