# Guest to host: the packets of the transmit ring.

from .vsock_relay cimport Relay

# Handle what is there, up to a budget; -1 when the guest broke the ring.
cdef int serve_transmit(Relay *relay) noexcept nogil
