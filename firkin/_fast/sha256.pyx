"""SHA-256 (FIPS 180-4) by the processor's own instructions, for one stream or two at once.

The instructions of a round wait for each other, and the processor can work on a second stream meanwhile: two streams
take little longer than the longer one alone. The twin, over the same tests, is `_sha256_py.py`; it is also what is used
where the processor lacks them (see `is_supported`).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 64
    BLOCK_SHIFT = 6
    LENGTH_AT = 56

cdef extern from * nogil:
    """
    #include <stddef.h>
    #include <stdint.h>

    /* The state as the instructions have it: the words F E B A, then H G D C. */

    #if defined(__x86_64__)
    #include <cpuid.h>
    #include <immintrin.h>

    static int firkin_sha256_asked(void)
    {
        unsigned int a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
            return 0;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29));
    }

    /* Asked once: in a virtual machine the answer comes from its host, which takes longer than a small layer. */
    static int firkin_sha256_is_supported(void)
    {
        static int answer = -1;
        if (answer < 0)
            answer = firkin_sha256_asked();
        return answer;
    }

    static const uint32_t firkin_sha256_constants[64] __attribute__((aligned(16))) = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
    };

    /* A stream of blocks: its state, what is added to it after each block, and the newest 16 words of the schedule. */
    struct firkin_sha256_lane {
        __m128i abef, cdgh, abef_before, cdgh_before, words[4];
    };

    #define FIRKIN_SHA256 static inline __attribute__((always_inline, target("sha,sse4.1")))

    FIRKIN_SHA256 void firkin_sha256_load(struct firkin_sha256_lane *lane, const uint8_t *block)
    {
        const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        for (int part = 0; part < 4; part++)
            lane->words[part] =
                _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * part)), order);
        lane->abef_before = lane->abef;
        lane->cdgh_before = lane->cdgh;
    }

    /* Four rounds, and for all but the last sixteen the four words of the schedule that come sixteen rounds later. */
    FIRKIN_SHA256 void firkin_sha256_rounds(struct firkin_sha256_lane *lane, int step)
    {
        __m128i *words = lane->words;
        const int at = step & 3;
        const __m128i constants = _mm_load_si128((const __m128i *)(firkin_sha256_constants + 4 * step));
        const __m128i sums = _mm_add_epi32(words[at], constants);
        lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, sums);
        lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(sums, 0x0e));
        if (step < 12) {
            const __m128i newest = words[(at + 3) & 3];
            const __m128i earlier = _mm_alignr_epi8(newest, words[(at + 2) & 3], 4);
            const __m128i partial = _mm_add_epi32(_mm_sha256msg1_epu32(words[at], words[(at + 1) & 3]), earlier);
            words[at] = _mm_sha256msg2_epu32(partial, newest);
        }
    }

    FIRKIN_SHA256 void firkin_sha256_add(struct firkin_sha256_lane *lane)
    {
        lane->abef = _mm_add_epi32(lane->abef, lane->abef_before);
        lane->cdgh = _mm_add_epi32(lane->cdgh, lane->cdgh_before);
    }

    FIRKIN_SHA256 void firkin_sha256_from(struct firkin_sha256_lane *lane, const uint32_t *state)
    {
        lane->abef = _mm_loadu_si128((const __m128i *)state);
        lane->cdgh = _mm_loadu_si128((const __m128i *)(state + 4));
    }

    FIRKIN_SHA256 void firkin_sha256_to(const struct firkin_sha256_lane *lane, uint32_t *state)
    {
        _mm_storeu_si128((__m128i *)state, lane->abef);
        _mm_storeu_si128((__m128i *)(state + 4), lane->cdgh);
    }

    static __attribute__((target("sha,sse4.1")))
    void firkin_sha256_one(uint32_t *state, const uint8_t *data, size_t blocks)
    {
        struct firkin_sha256_lane lane;
        firkin_sha256_from(&lane, state);
        for (; blocks; blocks--, data += 64) {
            firkin_sha256_load(&lane, data);
    #pragma GCC unroll 16
            for (int step = 0; step < 16; step++)
                firkin_sha256_rounds(&lane, step);
            firkin_sha256_add(&lane);
        }
        firkin_sha256_to(&lane, state);
    }

    static __attribute__((target("sha,sse4.1")))
    void firkin_sha256_two(uint32_t *state, const uint8_t *data, uint32_t *other, const uint8_t *more, size_t blocks)
    {
        struct firkin_sha256_lane lane, beside;
        firkin_sha256_from(&lane, state);
        firkin_sha256_from(&beside, other);
        for (; blocks; blocks--, data += 64, more += 64) {
            firkin_sha256_load(&lane, data);
            firkin_sha256_load(&beside, more);
    #pragma GCC unroll 16
            for (int step = 0; step < 16; step++) {
                firkin_sha256_rounds(&lane, step);
                firkin_sha256_rounds(&beside, step);
            }
            firkin_sha256_add(&lane);
            firkin_sha256_add(&beside);
        }
        firkin_sha256_to(&lane, state);
        firkin_sha256_to(&beside, other);
    }

    #else
    static int firkin_sha256_is_supported(void) { return 0; }
    static void firkin_sha256_one(uint32_t *state, const uint8_t *data, size_t blocks)
    {
        (void)state, (void)data, (void)blocks;
    }
    static void firkin_sha256_two(
        uint32_t *state, const uint8_t *data, uint32_t *other, const uint8_t *more, size_t blocks)
    {
        (void)state, (void)data, (void)other, (void)more, (void)blocks;
    }
    #endif
    """
    bint sha256_is_supported "firkin_sha256_is_supported"()
    void blocks_of_one "firkin_sha256_one"(uint32_t *state, const uint8_t *data, size_t blocks)
    void blocks_of_two "firkin_sha256_two"(
        uint32_t *state, const uint8_t *data, uint32_t *other, const uint8_t *more, size_t blocks
    )


def is_supported():
    """Whether this processor has the instructions."""
    return bool(sha256_is_supported())


cdef struct Bytes:
    const uint8_t *data
    size_t size


cdef struct Stream:
    uint32_t[8] state
    uint8_t[BLOCK] begun
    size_t begun_size
    uint64_t size


@cython.final
cdef class Sha256Pair:
    """The hashes of two streams, given piece by piece; not by two threads at once.

    Raises:
        RuntimeError: the processor lacks the instructions.
    """

    cdef Stream _first
    cdef Stream _second

    def __cinit__(self):
        if not sha256_is_supported():
            raise RuntimeError("this processor has no instructions for SHA-256")
        _start(&self._first)
        _start(&self._second)

    def update(self, bytes first not None, bytes second not None):
        """The next bytes of each stream, or none; they are hashed together as far as both have some."""
        cdef Bytes one = Bytes(<const uint8_t *>PyBytes_AS_STRING(first), <size_t>PyBytes_GET_SIZE(first))
        cdef Bytes other = Bytes(<const uint8_t *>PyBytes_AS_STRING(second), <size_t>PyBytes_GET_SIZE(second))
        with nogil:
            _take(&self._first, one, &self._second, other)

    def hexdigests(self):
        """The digests of what came so far."""
        return _hexdigest(self._first), _hexdigest(self._second)


cdef void _start(Stream *stream) noexcept nogil:
    memset(stream, 0, sizeof(Stream))
    stream.state[0] = 0x9b05688c
    stream.state[1] = 0x510e527f
    stream.state[2] = 0xbb67ae85
    stream.state[3] = 0x6a09e667
    stream.state[4] = 0x5be0cd19
    stream.state[5] = 0x1f83d9ab
    stream.state[6] = 0xa54ff53a
    stream.state[7] = 0x3c6ef372


cdef void _take(Stream *first, Bytes one, Stream *second, Bytes other) noexcept nogil:
    cdef size_t blocks
    cdef size_t other_blocks
    cdef size_t both
    one = _completed(first, one)
    other = _completed(second, other)
    blocks = one.size >> BLOCK_SHIFT
    other_blocks = other.size >> BLOCK_SHIFT
    both = blocks if blocks < other_blocks else other_blocks
    blocks_of_two(first.state, one.data, second.state, other.data, both)
    blocks_of_one(first.state, one.data + both * BLOCK, blocks - both)
    blocks_of_one(second.state, other.data + both * BLOCK, other_blocks - both)
    _begin(first, one, blocks)
    _begin(second, other, other_blocks)


cdef Bytes _completed(Stream *stream, Bytes piece) noexcept nogil:
    # What is left after the block that was begun before.
    cdef size_t taken = BLOCK - stream.begun_size
    stream.size += piece.size
    if stream.begun_size == 0:
        return piece
    if taken > piece.size:
        taken = piece.size
    memcpy(stream.begun + stream.begun_size, piece.data, taken)
    stream.begun_size += taken
    if stream.begun_size == BLOCK:
        blocks_of_one(stream.state, stream.begun, 1)
        stream.begun_size = 0
    return Bytes(piece.data + taken, piece.size - taken)


cdef void _begin(Stream *stream, Bytes piece, size_t blocks) noexcept nogil:
    # Keep what is less than a block.
    cdef size_t left = piece.size - blocks * BLOCK
    if left:
        memcpy(stream.begun, piece.data + blocks * BLOCK, left)
        stream.begun_size = left


cdef str _hexdigest(Stream stream):
    # Of a copy, to which the padding is added: a set bit, zeros, and the number of bits.
    cdef uint8_t[2 * BLOCK] padding
    cdef size_t zeros = (LENGTH_AT - 1 - stream.begun_size) & (BLOCK - 1)
    cdef uint64_t bits = stream.size * 8
    cdef int index
    cdef Bytes piece
    memset(padding, 0, sizeof(padding))
    padding[0] = 0x80
    for index in range(8):
        padding[1 + zeros + index] = <uint8_t>(bits >> (56 - 8 * index))
    piece = _completed(&stream, Bytes(&padding[0], zeros + 9))
    blocks_of_one(stream.state, piece.data, piece.size >> BLOCK_SHIFT)
    return "".join([f"{stream.state[index]:08x}" for index in (3, 2, 7, 6, 1, 0, 5, 4)])
