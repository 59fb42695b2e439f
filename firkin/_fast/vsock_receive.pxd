# Host to guest: what the receive ring's buffers are filled with.

from .vsock_relay cimport Relay

# Fill buffers, up to a budget; -1 when the guest broke the ring.
cdef int serve_receive(Relay *relay) noexcept nogil
