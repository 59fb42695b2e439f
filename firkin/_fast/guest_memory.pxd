# The guest's memory, as the front end shares it: regions of sealed memfds, mapped here.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from .device_end cimport End
from .vsock_syscalls cimport iovec

cdef enum:
    REGIONS_MAX = 8
    OUTSIDE_MEMORY = -1
    NO_ROOM = -2


# A region as it is described in a SET_MEM_TABLE message (vhost-user, "Memory region description").
cdef packed struct RegionDescription:
    uint64_t guest_address
    uint64_t size
    uint64_t front_end_address
    uint64_t file_offset


cdef struct Region:
    uint64_t guest_address
    uint64_t front_end_address
    uint64_t size
    uint8_t *start
    void *mapping
    size_t mapping_size


cdef struct GuestMemory:
    Region[REGIONS_MAX] regions
    int count


# Map a region of `file`, which stays the caller's; -1 with a reason.
cdef int map_region(GuestMemory *memory, const RegionDescription *description, int file, End *end) noexcept nogil
cdef void unmap_memory(GuestMemory *memory) noexcept nogil

# Where the front end's own address range lies here; NULL when it is not within one region.
cdef uint8_t *at_front_end_address(const GuestMemory *memory, uint64_t address, uint64_t size) noexcept nogil

# The pieces that a guest physical range consists of: their number, OUTSIDE_MEMORY, or NO_ROOM for them.
cdef int guest_range(
    const GuestMemory *memory, uint64_t address, uint32_t size, iovec *pieces, int room
) noexcept nogil
