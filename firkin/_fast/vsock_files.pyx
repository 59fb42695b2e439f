"""Files that the host handed to a stream: read in the device's thread as far as they are in memory.

A disk may take its time, or hang. So what is not in memory is left to a reader (preadv2(2), RWF_NOWAIT), and so is all
of a file whose filesystem cannot tell (FUSE, a network's), closing it included.
"""

from libc.errno cimport EAGAIN, errno
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy
from posix.types cimport off_t

from .file_readers cimport FILLED, READ_BYTES, RESTING, give_to_readers
from .syscalls cimport lseek
from .vsock_syscalls cimport (
    AT_EMPTY_PATH, AT_STATX_DONT_SYNC, F_GET_SEALS, POSIX_FADV_SEQUENTIAL, RWF_NOWAIT, SEEK_CUR, STATX_TYPE, S_ISREG,
    close, fcntl, file_status, fstat, posix_fadvise, preadv2, pthread_mutex_lock, pthread_mutex_unlock, statx,
    statx_result,
)


cdef HandedFile *take_file(FileReaders *readers, int slot, int file) noexcept nogil:
    cdef HandedFile *taken = <HandedFile *>calloc(1, sizeof(HandedFile))
    if taken == NULL or not _count(readers):
        close(file)
        free(taken)
        return NULL
    taken.file = file
    taken.slot = slot
    taken.is_wanted = True
    # A tmpfs cannot tell, and need not: its files are in memory. They alone have seals, which is asked without waiting.
    taken.flags = RWF_NOWAIT if fcntl(file, F_GET_SEALS) < 0 else 0
    taken.may_block = not is_regular(taken) or not _tells_what_blocks(taken)
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL)
    return taken


cdef bint _count(FileReaders *readers) noexcept nogil:
    # One more; False when a file of each stream, and as many again, hang at their disks.
    cdef bint has_room
    pthread_mutex_lock(&readers.lock)
    has_room = readers.file_count < readers.file_limit
    readers.file_count += has_room
    pthread_mutex_unlock(&readers.lock)
    return has_room


cdef bint is_regular(const HandedFile *file) noexcept nogil:
    # As it is known here: asking whoever has the file may take long.
    cdef statx_result status
    if statx(file.file, b"", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) < 0:
        return False
    return S_ISREG(status.stx_mode)


cdef bint _tells_what_blocks(const HandedFile *file) noexcept nogil:
    cdef char byte
    cdef iovec piece
    piece.iov_base = &byte
    piece.iov_len = 1
    return preadv2(file.file, &piece, 1, 0, file.flags) >= 0 or errno == EAGAIN


cdef ssize_t read_file(FileReaders *readers, HandedFile *file, iovec *pieces, int count) noexcept nogil:
    cdef ssize_t size
    if file.state == AWAITED:
        return STILL_READING
    if file.state == FILLED:
        return _take_filled(file, pieces, count)
    if not file.may_block:
        # At the file's own position, so that whoever handed it over sees how far it was read.
        size = preadv2(file.file, pieces, count, -1, file.flags)
        if size > 0 or size == 0 and _is_at_end(file.file):
            return size
        if size < 0 and errno != EAGAIN:
            return NOT_READ
    return _ask(readers, file)


cdef bint _is_at_end(int file) noexcept nogil:
    # Linux 5.9 and 5.10 may say so where it is not: preadv2(2), "Bugs".
    cdef file_status status
    return fstat(file, &status) == 0 and lseek(file, 0, SEEK_CUR) >= status.st_size


cdef ssize_t _ask(FileReaders *readers, HandedFile *file) noexcept nogil:
    if file.data == NULL:
        file.data = <char *>malloc(READ_BYTES)
    file.offset = lseek(file.file, 0, SEEK_CUR)
    if file.data == NULL or file.offset < 0 or give_to_readers(readers, file) < 0:
        return NOT_READ
    return STILL_READING


cdef ssize_t _take_filled(HandedFile *file, const iovec *pieces, int count) noexcept nogil:
    cdef size_t size
    cdef size_t taken = 0
    cdef int index
    if file.error:
        return NOT_READ
    for index in range(count):
        size = min(pieces[index].iov_len, file.size - file.taken)
        memcpy(pieces[index].iov_base, file.data + file.taken, size)
        file.taken += size
        taken += size
    # The position goes along, as if it had been read just now.
    lseek(file.file, <off_t>taken, SEEK_CUR)
    if file.taken == file.size:
        file.state = RESTING
    return <ssize_t>taken
