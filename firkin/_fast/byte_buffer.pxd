# Bytes that grow as needed and are used again and again.

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef enum:
    FIRST_CAPACITY = 512


cdef struct ByteBuffer:
    char *data
    size_t size
    size_t capacity


cdef inline int reserve(ByteBuffer *buffer, size_t capacity) noexcept nogil:
    # Room for that many bytes; -1 without memory.
    cdef size_t doubled = buffer.capacity * 2 if buffer.capacity else FIRST_CAPACITY
    cdef char *data
    if capacity <= buffer.capacity:
        return 0
    if doubled < capacity:
        doubled = capacity
    data = <char *>realloc(buffer.data, doubled)
    if data == NULL:
        return -1
    buffer.data = data
    buffer.capacity = doubled
    return 0


cdef inline int append(ByteBuffer *buffer, const void *data, size_t size) noexcept nogil:
    # -1 without memory.
    if reserve(buffer, buffer.size + size) < 0:
        return -1
    if size:
        memcpy(buffer.data + buffer.size, data, size)
    buffer.size += size
    return 0


cdef inline int assign_text(ByteBuffer *buffer, const void *text, size_t size) noexcept nogil:
    # The text, and a NUL that does not count; -1 without memory.
    if reserve(buffer, size + 1) < 0:
        return -1
    if size:
        memcpy(buffer.data, text, size)
    buffer.data[size] = 0
    buffer.size = size
    return 0


cdef inline void release(ByteBuffer *buffer) noexcept nogil:
    free(buffer.data)
    buffer.data = NULL
    buffer.size = buffer.capacity = 0
