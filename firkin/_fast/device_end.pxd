# Why a vsock device ended: put down where it is noticed, and told to Python at the edge.

from libc.errno cimport errno


# Whose doing the end was.
cdef enum EndKind:
    RUNNING = 0
    IS_CLOSED
    IS_GONE
    HAS_BROKEN_FRONT_END
    HAS_BROKEN_GUEST
    HAS_FAILED


cdef enum Problem:
    NO_PROBLEM = 0
    # Of the vhost-user messages.
    MESSAGE_MALFORMED
    MESSAGE_UNKNOWN
    MESSAGE_TOO_EARLY
    RING_UNKNOWN
    RING_SIZE_REFUSED
    RING_OUTSIDE_MEMORY
    TOO_MANY_REGIONS
    MEMORY_NOT_SEALED
    MEMORY_TOO_SMALL
    NOT_AN_EVENT
    REPLY_NOT_TAKEN
    # Of the rings.
    AVAILABLE_INDEX_JUMPED
    DESCRIPTOR_UNKNOWN
    DESCRIPTOR_OUTSIDE_MEMORY
    DESCRIPTOR_WRONG_WAY
    DESCRIPTOR_INDIRECT
    CHAIN_ENDLESS
    CHAIN_TOO_LONG
    BUFFER_TOO_SMALL
    PACKET_TOO_SHORT


cdef struct End:
    EndKind kind
    Problem problem   # NO_PROBLEM when the kernel refused
    int error         # errno, when it did
    long long number  # what the problem is about: a request, a ring, a descriptor


cdef inline int ended(End *end, EndKind kind, Problem problem, long long number) noexcept nogil:
    # The first reason is the one that counts.
    if end.kind == RUNNING:
        end.kind = kind
        end.problem = problem
        end.number = number
    return -1


cdef inline int front_end_broke(End *end, Problem problem, long long number) noexcept nogil:
    return ended(end, HAS_BROKEN_FRONT_END, problem, number)


cdef inline int guest_broke(End *end, Problem problem, long long number) noexcept nogil:
    return ended(end, HAS_BROKEN_GUEST, problem, number)


cdef inline int host_failed(End *end) noexcept nogil:
    # After a system call that returned -1.
    if end.kind == RUNNING:
        end.kind = HAS_FAILED
        end.error = errno
    return -1


# A DeviceEnd, or None while it runs.
cdef describe_end(const End *end)
