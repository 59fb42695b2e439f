# How streams begin.

from libc.stdint cimport uint32_t

from .vsock_relay cimport Relay

cdef enum:
    RETRY_MILLISECONDS = 5  # of a connection to a listener of the host whose queue is full


# The guest has connected to a port of the host's.
cdef void connect_to_host(Relay *relay, uint32_t guest_port, uint32_t host_port) noexcept nogil
# When it is time: try once more those whose listener had no room.
cdef void connect_again(Relay *relay) noexcept nogil
# The host has connected: take what waits at a listener.
cdef void accept_from_host(Relay *relay, int index) noexcept nogil
# Once streams have ended: take what had to wait.
cdef void accept_again(Relay *relay) noexcept nogil
