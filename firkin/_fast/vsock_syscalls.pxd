# What the vsock device asks of Linux, beyond syscalls.pxd.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from posix.types cimport mode_t, off_t

from .syscalls cimport timespec


cdef extern from "time.h" nogil:
    enum:
        CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec *now)


cdef extern from "sys/uio.h" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    enum:
        RWF_NOWAIT
    ssize_t preadv2(int file, const iovec *pieces, int count, off_t offset, int flags)


cdef extern from "sys/socket.h" nogil:
    enum:
        AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM
        SOL_SOCKET, SO_SNDBUF, SCM_RIGHTS
        MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL
        SHUT_RD, SHUT_WR
    ctypedef unsigned int socklen_t
    cdef struct sockaddr:
        pass
    cdef struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    cdef struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    cmsghdr *CMSG_NXTHDR(msghdr *message, cmsghdr *control)
    unsigned char *CMSG_DATA(cmsghdr *control)
    size_t CMSG_LEN(size_t size)
    int accept4(int listener, sockaddr *address, socklen_t *size, int flags)
    int connect(int socket, const sockaddr *address, socklen_t size)
    ssize_t recv(int socket, void *data, size_t size, int flags)
    ssize_t recvmsg(int socket, msghdr *message, int flags)
    ssize_t send(int socket, const void *data, size_t size, int flags)
    ssize_t sendmsg(int socket, const msghdr *message, int flags)
    int setsockopt(int socket, int level, int option, const void *value, socklen_t size)
    int shutdown(int socket, int direction)
    int open_socket "socket"(int family, int kind, int protocol)


cdef extern from "sys/un.h" nogil:
    cdef struct sockaddr_un:
        unsigned short sun_family
        char sun_path[108]


cdef extern from "sys/epoll.h" nogil:
    enum:
        EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
        EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    ctypedef union epoll_data_t:
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int file, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int limit, int timeout_milliseconds)


cdef extern from "sys/eventfd.h" nogil:
    enum:
        EFD_CLOEXEC, EFD_NONBLOCK
    int eventfd(unsigned int value, int flags)


cdef extern from "sys/mman.h" nogil:
    enum:
        MADV_DONTDUMP, MADV_DONTFORK, MAP_NORESERVE, MAP_SHARED, PROT_READ, PROT_WRITE
    void *MAP_FAILED
    int madvise(void *address, size_t size, int advice)
    void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
    int munmap(void *address, size_t size)


cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <fcntl.h>
    """


cdef extern from "fcntl.h" nogil:
    enum:
        AT_EMPTY_PATH, AT_STATX_DONT_SYNC
        F_GETFL, F_GET_SEALS, F_SEAL_SHRINK, F_SETFL, O_NONBLOCK, POSIX_FADV_SEQUENTIAL
    int fcntl(int file, int command, ...)
    int posix_fadvise(int file, off_t offset, off_t size, int advice)


cdef extern from "sys/stat.h" nogil:
    cdef struct file_status "stat":
        mode_t st_mode
        off_t st_size
    int fstat(int file, file_status *result)
    enum:
        STATX_TYPE
    cdef struct statx_result "statx":
        uint16_t stx_mode
    int statx(int directory, const char *path, int flags, unsigned int mask, statx_result *result)
    bint S_ISREG(mode_t mode)


cdef extern from "pthread.h" nogil:
    enum:
        PTHREAD_CREATE_DETACHED
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    ctypedef struct pthread_condattr_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_attr_destroy(pthread_attr_t *attributes)
    int pthread_attr_init(pthread_attr_t *attributes)
    int pthread_attr_setdetachstate(pthread_attr_t *attributes, int state)
    int pthread_cond_broadcast(pthread_cond_t *condition)
    int pthread_cond_destroy(pthread_cond_t *condition)
    int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
    int pthread_cond_signal(pthread_cond_t *condition)
    int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const timespec *until)
    int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
    int pthread_condattr_destroy(pthread_condattr_t *attributes)
    int pthread_condattr_init(pthread_condattr_t *attributes)
    int pthread_condattr_setclock(pthread_condattr_t *attributes, int clock)
    int pthread_create(
        pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *) noexcept nogil, void *argument
    )
    int pthread_mutex_destroy(pthread_mutex_t *mutex)
    int pthread_mutex_init(pthread_mutex_t *mutex, const void *attributes)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    pthread_t pthread_self()
    int pthread_setname_np(pthread_t thread, const char *name)


cdef extern from "signal.h" nogil:
    enum:
        SIG_BLOCK
    ctypedef struct sigset_t:
        pass
    int pthread_sigmask(int how, const sigset_t *signals, sigset_t *earlier)
    int sigfillset(sigset_t *signals)


cdef extern from "unistd.h" nogil:
    enum:
        SEEK_CUR
    int close(int file)
    ssize_t read(int file, void *data, size_t size)
    ssize_t readlink(const char *path, char *target, size_t size)
    ssize_t write(int file, const void *data, size_t size)


cdef extern from * nogil:
    """
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "virtio 1.x is little endian, and so must be the machine"
    #endif

    /* The guest writes at the same time: each field is read exactly once. */
    #define firkin_load(place) __atomic_load_n(place, __ATOMIC_RELAXED)
    #define firkin_load_acquire(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
    #define firkin_store(place, value) __atomic_store_n(place, value, __ATOMIC_RELAXED)
    #define firkin_store_release(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    #define firkin_full_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define firkin_compiler_fence() __asm__ volatile("" ::: "memory")
    """
    uint16_t load16 "firkin_load"(const uint16_t *place)
    uint32_t load32 "firkin_load"(const uint32_t *place)
    uint64_t load64 "firkin_load"(const uint64_t *place)
    uint16_t load16_acquire "firkin_load_acquire"(const uint16_t *place)
    void store16 "firkin_store"(uint16_t *place, uint16_t value)
    void store32 "firkin_store"(uint32_t *place, uint32_t value)
    void store16_release "firkin_store_release"(uint16_t *place, uint16_t value)
    void full_fence "firkin_full_fence"()
    void compiler_fence "firkin_compiler_fence"()


cdef inline void close_file(int *file) noexcept nogil:
    # Twice is fine.
    if file[0] >= 0:
        close(file[0])
        file[0] = -1
