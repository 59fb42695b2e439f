"""Ids of paths: SipHash with 128 bits of a name under its directory's id; and a hash table of such ids."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

ctypedef unsigned long long uint64

cdef enum:
    FIRST_SLOTS = 1024


cdef inline uint64 _turned(uint64 value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


cdef inline void _round(uint64 *v) noexcept nogil:
    v[0] += v[1]
    v[1] = _turned(v[1], 13) ^ v[0]
    v[0] = _turned(v[0], 32)
    v[2] += v[3]
    v[3] = _turned(v[3], 16) ^ v[2]
    v[0] += v[3]
    v[3] = _turned(v[3], 21) ^ v[0]
    v[2] += v[1]
    v[1] = _turned(v[1], 17) ^ v[2]
    v[2] = _turned(v[2], 32)


cdef inline void _absorb(uint64 *v, uint64 word) noexcept nogil:
    v[3] ^= word
    _round(v)
    v[0] ^= word


cdef PathId child_id(PathId parent, const char *name, size_t size) noexcept nogil:
    # SipHash-1-3 with 128 bits of output (Aumasson, Bernstein: SipHash, a fast short-input PRF).
    cdef uint64[4] v
    cdef uint64 word
    cdef size_t rest = size
    cdef PathId path
    v[0] = parent.low ^ <uint64>0x736f6d6570736575ULL
    v[1] = parent.high ^ <uint64>0x646f72616e646f6dULL ^ 0xee
    v[2] = parent.low ^ <uint64>0x6c7967656e657261ULL
    v[3] = parent.high ^ <uint64>0x7465646279746573ULL
    while rest >= 8:
        memcpy(&word, name, 8)
        _absorb(v, word)
        name += 8
        rest -= 8
    word = 0
    memcpy(&word, name, rest)
    _absorb(v, word | (<uint64>size << 56))
    v[2] ^= 0xee
    _round(v)
    _round(v)
    _round(v)
    path.low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xdd
    _round(v)
    _round(v)
    _round(v)
    path.high = v[0] ^ v[1] ^ v[2] ^ v[3]
    if path.low <= 1:
        path.low += 2  # 0 marks an empty slot, and 1 a removed one
    return path


cdef inline size_t _slot_of(const PathSet *paths, PathId path) noexcept nogil:
    # Where the path is, or the empty slot that ends the search for it.
    cdef size_t mask = paths.capacity - 1
    cdef size_t at = <size_t>path.high & mask
    while paths.slots[at].low != 0 and not same_path(paths.slots[at], path):
        at = (at + 1) & mask
    return at


cdef bint path_set_has(const PathSet *paths, PathId path) noexcept nogil:
    return paths.capacity != 0 and paths.slots[_slot_of(paths, path)].low != 0


cdef int _grow(PathSet *paths) noexcept nogil:
    cdef PathSet larger
    cdef size_t at
    larger.capacity = FIRST_SLOTS
    while larger.capacity < paths.size * 4:
        larger.capacity *= 2
    larger.taken = larger.size = paths.size
    larger.slots = <PathId *>calloc(larger.capacity, sizeof(PathId))
    if larger.slots == NULL:
        return -1
    for at in range(paths.capacity):
        if paths.slots[at].low > 1:
            larger.slots[_slot_of(&larger, paths.slots[at])] = paths.slots[at]
    free(paths.slots)
    paths[0] = larger
    return 0


cdef int path_set_add(PathSet *paths, PathId path) noexcept nogil:
    cdef size_t at
    if (paths.taken + 1) * 3 >= paths.capacity * 2 and _grow(paths) < 0:
        return -1
    at = _slot_of(paths, path)
    if paths.slots[at].low == 0:
        paths.slots[at] = path
        paths.taken += 1
        paths.size += 1
    return 0


cdef void path_set_discard(PathSet *paths, PathId path) noexcept nogil:
    cdef size_t at
    if paths.capacity == 0:
        return
    at = _slot_of(paths, path)
    if paths.slots[at].low != 0:
        paths.slots[at].low = 1
        paths.size -= 1


cdef void path_set_free(PathSet *paths) noexcept nogil:
    free(paths.slots)
    paths.slots = NULL
    paths.capacity = paths.taken = paths.size = 0
