# Files that the host handed to a stream.

from .file_readers cimport AWAITED, FileReaders, HandedFile
from .vsock_syscalls cimport iovec

cdef enum:
    NOT_READ = -1
    STILL_READING = -2


# A file of the stream in that slot, which owns `file` now; NULL when there are too many, and it is closed.
cdef HandedFile *take_file(FileReaders *readers, int slot, int file) noexcept nogil
# What is not a regular file is not to be read.
cdef bint is_regular(const HandedFile *file) noexcept nogil
# As readv(2), but it never waits for the disk: STILL_READING when that would be needed, and a reader sees to it.
cdef ssize_t read_file(FileReaders *readers, HandedFile *file, iovec *pieces, int count) noexcept nogil


cdef inline bint is_awaited(const HandedFile *file) noexcept nogil:
    # Until `take_finished` has told of it.
    return file.state == AWAITED
