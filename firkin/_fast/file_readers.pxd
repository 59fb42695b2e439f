# Threads that read files whose disks may keep a reader waiting, and close them.

from posix.types cimport off_t

from .vsock_syscalls cimport pthread_cond_t, pthread_mutex_t

cdef enum:
    READERS_MAX = 4       # so many disks may hang at once, before a file of another one waits for them
    READ_BYTES = 131072   # of a file, by one read of a reader


cdef enum FileState:
    RESTING = 0
    AWAITED   # readers have it: nobody else touches more than `is_wanted`, and that with the lock
    FILLED    # what a reader has read, or why it has not, is there


# A file that a stream has, or had.
cdef struct HandedFile:
    int file
    int slot         # of its stream
    FileState state
    int flags        # of reads in the device's thread
    bint may_block   # whatever is done with it may wait for its disk
    bint is_wanted   # by its stream; a reader that has one which is not closes it
    off_t offset
    char *data       # READ_BYTES, once they are needed
    size_t size
    size_t taken
    int error        # errno of the read, or 0
    HandedFile *next


cdef struct FileQueue:
    HandedFile *first
    HandedFile *last
    int size


cdef struct FileReaders:
    pthread_mutex_t lock
    pthread_cond_t has_work
    pthread_cond_t has_ended   # one of the readers
    FileQueue waiting
    FileQueue finished
    int event                  # an eventfd, which is readable when there are finished ones
    int readers
    int idle
    int file_count             # of all files that there are, on streams or with readers
    int file_limit
    bint is_closed
    bint is_forgotten


# NULL without memory, or without room for one more descriptor.
cdef FileReaders *make_readers(int file_limit) noexcept nogil
# Let a reader read the file, or close it when it is not wanted; -1 when there is no reader to be had.
cdef int give_to_readers(FileReaders *readers, HandedFile *file) noexcept nogil
# The next file that was read and is wanted, FILLED, or NULL.
cdef HandedFile *take_finished(FileReaders *readers) noexcept nogil
# The stream wants it no more; at once, whatever its disk does.
cdef void give_up_file(FileReaders *readers, HandedFile *file) noexcept nogil

# After all files were given up: the readers end, those at a disk that hangs when it lets them go.
cdef void close_readers(FileReaders *readers) noexcept nogil
# Wait until they have ended, for no longer than that.
cdef void wait_for_readers(FileReaders *readers, int milliseconds) noexcept nogil
# Not to be used any more; what is left of it goes with the last reader.
cdef void forget_readers(FileReaders *readers) noexcept nogil
