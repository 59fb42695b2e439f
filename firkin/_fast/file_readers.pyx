"""Threads that read files whose disks may keep a reader waiting, and close them.

They begin when there is work for them, and know nothing of the interpreter. A read that hangs cannot be called off, so
all that a reader touches is the readers' own: it outlives the device when it must, and the last one cleans up.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from .syscalls cimport pread, timespec
from .vsock_syscalls cimport (
    CLOCK_MONOTONIC, EFD_CLOEXEC, EFD_NONBLOCK, PTHREAD_CREATE_DETACHED, SIG_BLOCK, clock_gettime, close_file, eventfd,
    pthread_attr_destroy, pthread_attr_init, pthread_attr_setdetachstate, pthread_attr_t, pthread_cond_broadcast,
    pthread_cond_destroy, pthread_cond_init, pthread_cond_signal, pthread_cond_timedwait, pthread_cond_wait,
    pthread_condattr_destroy, pthread_condattr_init, pthread_condattr_setclock, pthread_condattr_t, pthread_create,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, pthread_self,
    pthread_setname_np, pthread_sigmask, pthread_t, sigfillset, sigset_t, write,
)


cdef FileReaders *make_readers(int file_limit) noexcept nogil:
    cdef FileReaders *readers = <FileReaders *>calloc(1, sizeof(FileReaders))
    cdef pthread_condattr_t monotonic
    if readers == NULL:
        return NULL
    readers.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    if readers.event < 0:
        free(readers)
        return NULL
    readers.file_limit = file_limit
    pthread_condattr_init(&monotonic)
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC)
    pthread_mutex_init(&readers.lock, NULL)
    pthread_cond_init(&readers.has_work, NULL)
    pthread_cond_init(&readers.has_ended, &monotonic)
    pthread_condattr_destroy(&monotonic)
    return readers


cdef int give_to_readers(FileReaders *readers, HandedFile *file) noexcept nogil:
    cdef int result = 0
    pthread_mutex_lock(&readers.lock)
    if readers.waiting.size >= readers.idle and readers.readers < READERS_MAX and _begin(readers) < 0:
        result = -1 if readers.readers == 0 else 0
    if result == 0:
        file.state = AWAITED
        _put(&readers.waiting, file)
        pthread_cond_signal(&readers.has_work)
    pthread_mutex_unlock(&readers.lock)
    return result


cdef HandedFile *take_finished(FileReaders *readers) noexcept nogil:
    cdef HandedFile *file
    while True:
        pthread_mutex_lock(&readers.lock)
        file = _take(&readers.finished)
        if file != NULL:
            file.state = FILLED
        pthread_mutex_unlock(&readers.lock)
        if file == NULL or file.is_wanted:
            return file
        give_up_file(readers, file)


cdef void give_up_file(FileReaders *readers, HandedFile *file) noexcept nogil:
    cdef bint is_awaited
    pthread_mutex_lock(&readers.lock)
    file.is_wanted = False
    is_awaited = file.state == AWAITED
    pthread_mutex_unlock(&readers.lock)
    if is_awaited:
        return
    free(file.data)
    file.data = NULL
    # Closing may wait for the disk as well.
    if not file.may_block or give_to_readers(readers, file) < 0:
        _discard(readers, file)


cdef void close_readers(FileReaders *readers) noexcept nogil:
    # What was finished and has not been looked at was given up too.
    take_finished(readers)
    pthread_mutex_lock(&readers.lock)
    readers.is_closed = True
    pthread_cond_broadcast(&readers.has_work)
    pthread_mutex_unlock(&readers.lock)


cdef void wait_for_readers(FileReaders *readers, int milliseconds) noexcept nogil:
    cdef timespec until
    clock_gettime(CLOCK_MONOTONIC, &until)
    until.tv_nsec += milliseconds * 1000000
    until.tv_sec += until.tv_nsec // 1000000000
    until.tv_nsec %= 1000000000
    pthread_mutex_lock(&readers.lock)
    while readers.readers and pthread_cond_timedwait(&readers.has_ended, &readers.lock, &until) == 0:
        pass
    pthread_mutex_unlock(&readers.lock)


cdef void forget_readers(FileReaders *readers) noexcept nogil:
    pthread_mutex_lock(&readers.lock)
    readers.is_forgotten = True
    _unlock(readers)


cdef int _begin(FileReaders *readers) noexcept nogil:
    cdef pthread_t thread
    cdef pthread_attr_t detached
    cdef int error
    if pthread_attr_init(&detached) != 0:
        return -1
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED)
    error = pthread_create(&thread, &detached, _serve, readers)
    pthread_attr_destroy(&detached)
    if error:
        return -1
    readers.readers += 1
    return 0


cdef void *_serve(void *argument) noexcept nogil:
    cdef FileReaders *readers = <FileReaders *>argument
    cdef HandedFile *file
    cdef sigset_t signals
    # Signals are for the interpreter's threads.
    sigfillset(&signals)
    pthread_sigmask(SIG_BLOCK, &signals, NULL)
    pthread_setname_np(pthread_self(), b"vsock-reader")
    pthread_mutex_lock(&readers.lock)
    while True:
        file = _next(readers)
        if file == NULL:
            break
        _serve_file(readers, file)
    readers.readers -= 1
    pthread_cond_broadcast(&readers.has_ended)
    _unlock(readers)
    return NULL


cdef HandedFile *_next(FileReaders *readers) noexcept nogil:
    # With the lock. Also the readers of a closed device close what it left behind.
    while readers.waiting.size == 0 and not readers.is_closed:
        readers.idle += 1
        pthread_cond_wait(&readers.has_work, &readers.lock)
        readers.idle -= 1
    return _take(&readers.waiting)


cdef void _serve_file(FileReaders *readers, HandedFile *file) noexcept nogil:
    # With the lock, which is let go meanwhile.
    cdef bint is_wanted = file.is_wanted
    pthread_mutex_unlock(&readers.lock)
    if is_wanted:
        _read(file)
    pthread_mutex_lock(&readers.lock)
    if file.is_wanted:
        _put(&readers.finished, file)
        _tell(readers.event)
        return
    pthread_mutex_unlock(&readers.lock)
    _discard(readers, file)
    pthread_mutex_lock(&readers.lock)


cdef void _read(HandedFile *file) noexcept nogil:
    cdef ssize_t size = -1
    file.error = EINTR
    while size < 0 and file.error == EINTR:
        size = pread(file.file, file.data, READ_BYTES, file.offset)
        file.error = errno if size < 0 else 0
    file.taken = 0
    file.size = <size_t>size if size > 0 else 0


cdef void _tell(int event) noexcept nogil:
    cdef uint64_t one = 1
    write(event, &one, sizeof(one))


cdef void _discard(FileReaders *readers, HandedFile *file) noexcept nogil:
    close_file(&file.file)
    free(file.data)
    free(file)
    pthread_mutex_lock(&readers.lock)
    readers.file_count -= 1
    pthread_mutex_unlock(&readers.lock)


cdef void _unlock(FileReaders *readers) noexcept nogil:
    # Whoever leaves last puts out the light.
    cdef bint is_last = readers.is_forgotten and readers.readers == 0
    pthread_mutex_unlock(&readers.lock)
    if not is_last:
        return
    pthread_cond_destroy(&readers.has_work)
    pthread_cond_destroy(&readers.has_ended)
    pthread_mutex_destroy(&readers.lock)
    close_file(&readers.event)
    free(readers)


cdef void _put(FileQueue *queue, HandedFile *file) noexcept nogil:
    file.next = NULL
    if queue.first == NULL:
        queue.first = file
    else:
        queue.last.next = file
    queue.last = file
    queue.size += 1


cdef HandedFile *_take(FileQueue *queue) noexcept nogil:
    cdef HandedFile *file = queue.first
    if file != NULL:
        queue.first = file.next
        queue.size -= 1
    return file
