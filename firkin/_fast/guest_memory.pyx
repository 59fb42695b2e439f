"""The guest's memory, mapped and never left.

The files must be sealed against shrinking: a mapped page that a file loses is a SIGBUS, which would end the whole
process. So no file that could be truncated is mapped, and none that is smaller than what the front end says.
"""

from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t

from .device_end cimport End, MEMORY_NOT_SEALED, MEMORY_TOO_SMALL, TOO_MANY_REGIONS, front_end_broke, host_failed
from .vsock_syscalls cimport (
    F_GET_SEALS, F_SEAL_SHRINK, MADV_DONTDUMP, MADV_DONTFORK, MAP_FAILED, MAP_NORESERVE, MAP_SHARED, PROT_READ,
    PROT_WRITE, fcntl, file_status, fstat, iovec, madvise, mmap, munmap,
)


cdef int map_region(GuestMemory *memory, const RegionDescription *description, int file, End *end) noexcept nogil:
    cdef Region *region
    cdef size_t size = description.file_offset + description.size
    cdef void *mapping
    if memory.count == REGIONS_MAX:
        return front_end_broke(end, TOO_MANY_REGIONS, REGIONS_MAX)
    if _check_file(description, file, end) < 0:
        return -1
    # From the file's start: an offset would have to fit its pages, which may be huge ones.
    mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0)
    if mapping == MAP_FAILED:
        return host_failed(end)
    madvise(mapping, size, MADV_DONTDUMP)
    madvise(mapping, size, MADV_DONTFORK)
    region = &memory.regions[memory.count]
    region.guest_address = description.guest_address
    region.front_end_address = description.front_end_address
    region.size = description.size
    region.start = <uint8_t *>mapping + description.file_offset
    region.mapping = mapping
    region.mapping_size = size
    memory.count += 1
    return 0


cdef void unmap_memory(GuestMemory *memory) noexcept nogil:
    cdef int index
    for index in range(memory.count):
        munmap(memory.regions[index].mapping, memory.regions[index].mapping_size)
    memory.count = 0


cdef uint8_t *at_front_end_address(const GuestMemory *memory, uint64_t address, uint64_t size) noexcept nogil:
    cdef const Region *region
    cdef uint64_t offset
    cdef int index
    for index in range(memory.count):
        region = &memory.regions[index]
        offset = address - region.front_end_address
        if address >= region.front_end_address and offset < region.size and size <= region.size - offset:
            return region.start + offset
    return NULL


cdef int guest_range(
    const GuestMemory *memory, uint64_t address, uint32_t size, iovec *pieces, int room
) noexcept nogil:
    cdef const Region *region
    cdef uint64_t offset
    cdef uint64_t taken
    cdef int count = 0
    while size:
        region = _region_of(memory, address)
        if region == NULL:
            return OUTSIDE_MEMORY
        if count == room:
            return NO_ROOM
        offset = address - region.guest_address
        taken = region.size - offset
        if taken > size:
            taken = size
        pieces[count].iov_base = region.start + offset
        pieces[count].iov_len = taken
        count += 1
        size -= <uint32_t>taken
        if size and address > UINT64_MAX - taken:
            return OUTSIDE_MEMORY
        address += taken
    return count


cdef const Region *_region_of(const GuestMemory *memory, uint64_t address) noexcept nogil:
    cdef const Region *region
    cdef int index
    for index in range(memory.count):
        region = &memory.regions[index]
        if address >= region.guest_address and address - region.guest_address < region.size:
            return region
    return NULL


cdef int _check_file(const RegionDescription *description, int file, End *end) noexcept nogil:
    cdef file_status status
    cdef int seals = fcntl(file, F_GET_SEALS)
    if seals < 0 or not seals & F_SEAL_SHRINK:
        return front_end_broke(end, MEMORY_NOT_SEALED, <long long>description.guest_address)
    if fstat(file, &status) < 0:
        return host_failed(end)
    if (
        description.size == 0
        or description.file_offset > <uint64_t>status.st_size
        or description.size > <uint64_t>status.st_size - description.file_offset
        or description.guest_address > UINT64_MAX - description.size
        or description.front_end_address > UINT64_MAX - description.size
    ):
        return front_end_broke(end, MEMORY_TOO_SMALL, <long long>description.guest_address)
    return 0
