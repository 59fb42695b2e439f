"""Where zstd frames end, and how much memory they ask for (RFC 8878, 3.1): decoders that are read from tell neither."""

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
    WINDOW
    CONTENT_SIZE  # of a frame whose window is as large as its content
    BLOCK_HEADER
    UNKNOWN  # no frame: the decoder refuses it


@cython.final
cdef class ZstdFrames:
    """Follows a stream of frames, skippable ones among them, by the sizes that it states."""

    cdef Part _part
    cdef unsigned char[8] _field
    cdef int _wanted  # bytes of the field
    cdef int _known
    cdef unsigned long long _skipped  # bytes that come before the field
    cdef bint _has_checksum
    cdef unsigned int _after_window
    cdef unsigned long long _window_bytes

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

    @property
    def window_bytes(self):
        """The largest window that a frame asked for so far."""
        return self._window_bytes

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

    cdef unsigned long long _number(self) noexcept nogil:
        cdef unsigned long long number = 0
        cdef int index
        for index in range(self._wanted):
            number |= <unsigned long long>self._field[index] << (8 * index)
        return number

    cdef void _next(self, Part part, int wanted, unsigned long long skipped) noexcept nogil:
        self._part = part
        self._wanted = wanted
        self._known = 0
        self._skipped = skipped

    cdef void _take(self, unsigned long long number) noexcept nogil:
        cdef unsigned long long size
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
            self._begin_header(<unsigned int>number)
        elif self._part == WINDOW:
            self._note_window(_window_of(<unsigned int>number))
            self._next(BLOCK_HEADER, 3, self._after_window)
        elif self._part == CONTENT_SIZE:
            self._note_window(number + 256 if self._wanted == 2 else number)
            self._next(BLOCK_HEADER, 3, 0)
        else:
            size = 1 if (number >> 1 & 3) == RAW_BLOCK_OF_ONE_BYTE else number >> 3
            if number & 1:
                self._next(MAGIC, 4, size + (4 if self._has_checksum else 0))
            else:
                self._next(BLOCK_HEADER, 3, size)

    cdef void _begin_header(self, unsigned int descriptor) noexcept nogil:
        # What follows: window, dictionary id and content size (RFC 8878, 3.1.1.1).
        cdef bint is_single_segment = descriptor >> 5 & 1
        cdef unsigned int dictionary = 4 if descriptor & 3 == 3 else descriptor & 3
        cdef unsigned int content = 1 << (descriptor >> 6)
        self._has_checksum = descriptor & 4 != 0
        if is_single_segment:
            self._next(CONTENT_SIZE, <int>content, dictionary)
            return
        self._after_window = dictionary + (0 if content == 1 else content)
        self._next(WINDOW, 1, 0)

    cdef void _note_window(self, unsigned long long size) noexcept nogil:
        if size > self._window_bytes:
            self._window_bytes = size


cdef unsigned long long _window_of(unsigned int descriptor) noexcept nogil:
    # RFC 8878, 3.1.1.1.2: an exponent, and eighths.
    cdef unsigned long long base = <unsigned long long>1 << (10 + (descriptor >> 3))
    return base + (base >> 3) * (descriptor & 7)
