# The host's side of the streams: unix sockets, and files that were handed over.

from libc.stdint cimport uint32_t

from .vsock_relay cimport Relay
from .vsock_syscalls cimport iovec

cdef enum:
    NOTHING_YET = -1
    END_OF_STREAM = 0


# Read into the pieces: how much, END_OF_STREAM, or NOTHING_YET.
cdef ssize_t read_host(Relay *relay, int slot, iovec *pieces, int count) noexcept nogil
# Give the host what the guest sent; what its socket does not take is held.
cdef void write_host(Relay *relay, int slot, iovec *pieces, int count, uint32_t size) noexcept nogil
# Files have something to be read now that had not.
cdef void on_files_read(Relay *relay) noexcept nogil
# What epoll told of a stream's socket.
cdef void on_stream_event(Relay *relay, int slot, uint32_t generation, uint32_t events) noexcept nogil

# After anything about a stream has changed: what follows from that.
cdef void settle(Relay *relay, int slot) noexcept nogil
# End a stream that broke off, on both sides.
cdef void abort_stream(Relay *relay, int slot) noexcept nogil
cdef void drop_all_streams(Relay *relay) noexcept nogil
