"""Where zstd frames end (RFC 8878, 3.1): decoders that are read from do not tell a frame that was cut short."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef enum:
    FRAME_MAGIC = 0xFD2FB528
    SKIPPABLE_MAGIC = 0x184D2A50
    SKIPPABLE_MASK = 0xFFFFFFF0
    RAW_BLOCK_OF_ONE_BYTE = 1  # RLE: its size is that of what it stands for


cdef enum Part:
    MAGIC
    SKIPPABLE_SIZE
    DESCRIPTOR
    BLOCK_HEADER
    UNKNOWN  # no frame: the decoder refuses it


@cython.final
cdef class ZstdFrames:
    """Follows a stream of frames, skippable ones among them, by the sizes that it states."""

    cdef Part _part
    cdef unsigned char[4] _field
    cdef int _wanted  # bytes of the field
    cdef int _known
    cdef unsigned long long _skipped  # bytes that come before the field
    cdef bint _has_checksum

    def __cinit__(self):
        self._next(MAGIC, 4, 0)

    def feed(self, bytes data not None):
        """The next bytes of the stream."""
        cdef const unsigned char *at = <const unsigned char *>PyBytes_AS_STRING(data)
        cdef unsigned long long size = <unsigned long long>PyBytes_GET_SIZE(data)
        with nogil:
            self._follow(at, size)

    @property
    def is_between(self):
        """True when what came ends where a frame ends, or where none began."""
        return self._part == MAGIC and self._known == 0 and self._skipped == 0

    cdef void _follow(self, const unsigned char *at, unsigned long long size) noexcept nogil:
        cdef unsigned long long skipped
        while size and self._part != UNKNOWN:
            if self._skipped:
                skipped = self._skipped if self._skipped < size else size
                self._skipped -= skipped
                at += skipped
                size -= skipped
                continue
            self._field[self._known] = at[0]
            self._known += 1
            at += 1
            size -= 1
            if self._known == self._wanted:
                self._take(self._number())

    cdef unsigned int _number(self) noexcept nogil:
        cdef unsigned int number = 0
        cdef int index
        for index in range(self._wanted):
            number |= <unsigned int>self._field[index] << (8 * index)
        return number

    cdef void _next(self, Part part, int wanted, unsigned long long skipped) noexcept nogil:
        self._part = part
        self._wanted = wanted
        self._known = 0
        self._skipped = skipped

    cdef void _take(self, unsigned int number) noexcept nogil:
        cdef unsigned int size
        if self._part == MAGIC:
            if number == <unsigned int>FRAME_MAGIC:
                self._next(DESCRIPTOR, 1, 0)
            elif number & <unsigned int>SKIPPABLE_MASK == <unsigned int>SKIPPABLE_MAGIC:
                self._next(SKIPPABLE_SIZE, 4, 0)
            else:
                self._part = UNKNOWN
        elif self._part == SKIPPABLE_SIZE:
            self._next(MAGIC, 4, number)
        elif self._part == DESCRIPTOR:
            self._has_checksum = number & 4 != 0
            self._next(BLOCK_HEADER, 3, _header_rest(number))
        else:
            size = 1 if (number >> 1 & 3) == RAW_BLOCK_OF_ONE_BYTE else number >> 3
            if number & 1:
                self._next(MAGIC, 4, size + (4 if self._has_checksum else 0))
            else:
                self._next(BLOCK_HEADER, 3, size)


cdef unsigned int _header_rest(unsigned int descriptor) noexcept nogil:
    # What follows the descriptor: window, dictionary id and content size (RFC 8878, 3.1.1.1).
    cdef bint is_single_segment = descriptor >> 5 & 1
    cdef unsigned int dictionary = descriptor & 3
    cdef unsigned int content = descriptor >> 6
    cdef unsigned int size = 0 if is_single_segment else 1
    size += 4 if dictionary == 3 else dictionary
    if content == 0:
        return size + (1 if is_single_segment else 0)
    return size + (<unsigned int>1 << content)
