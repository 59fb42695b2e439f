# The host's side of the streams: unix sockets, and files that were handed over.

from libc.stdint cimport uint32_t

from .vsock_relay cimport Relay
from .vsock_syscalls cimport iovec

cdef enum:
    NOTHING_YET = -1
    END_OF_STREAM = 0


# The guest has connected to a port of the host's.
cdef void connect_to_host(Relay *relay, uint32_t guest_port, uint32_t host_port) noexcept nogil
# Try once more those whose listener had no room.
cdef void connect_again(Relay *relay) noexcept nogil
# The host has connected: take what waits at a listener.
cdef void accept_from_host(Relay *relay, int index) noexcept nogil
# Once streams have ended: take what had to wait.
cdef void accept_again(Relay *relay) noexcept nogil

# Read into the pieces: how much, END_OF_STREAM, or NOTHING_YET.
cdef ssize_t read_host(Relay *relay, int slot, iovec *pieces, int count) noexcept nogil
# Give the host what the guest sent; what its socket does not take is held.
cdef void write_host(Relay *relay, int slot, iovec *pieces, int count, uint32_t size) noexcept nogil
# What epoll told of a stream's socket.
cdef void on_stream_event(Relay *relay, int slot, uint32_t generation, uint32_t events) noexcept nogil

# After anything about a stream has changed: what follows from that.
cdef void settle(Relay *relay, int slot) noexcept nogil
# End a stream that broke off, on both sides.
cdef void abort_stream(Relay *relay, int slot) noexcept nogil
cdef void drop_all_streams(Relay *relay) noexcept nogil
