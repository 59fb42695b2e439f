# What the kernels ask of Linux.

from posix.types cimport dev_t, gid_t, ino_t, mode_t, off_t, uid_t


cdef extern from "errno.h" nogil:
    enum:
        ECANCELED


cdef extern from "time.h" nogil:
    cdef struct timespec:
        long long tv_sec
        long tv_nsec


cdef extern from "fcntl.h" nogil:
    enum:
        AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW
        O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY
    int openat(int directory, const char *path, int flags, ...)


cdef extern from "sys/stat.h" nogil:
    enum:
        S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG
    cdef struct stat_result "stat":
        dev_t st_dev
        ino_t st_ino
        mode_t st_mode
        uid_t st_uid
        gid_t st_gid
        dev_t st_rdev
        off_t st_size
        timespec st_mtim
    int fchmod(int file, mode_t mode)
    int fchmodat(int directory, const char *path, mode_t mode, int flags)
    int fstat(int file, stat_result *result)
    int fstatat(int directory, const char *path, stat_result *result, int flags)
    int futimens(int file, const timespec *times)
    int mkdirat(int directory, const char *path, mode_t mode)
    int mknodat(int directory, const char *path, mode_t mode, dev_t device)
    int utimensat(int directory, const char *path, const timespec *times, int flags)


cdef extern from "sys/sysmacros.h" nogil:
    dev_t makedev(unsigned int major, unsigned int minor)


cdef extern from "sys/xattr.h" nogil:
    ssize_t fgetxattr(int file, const char *name, void *value, size_t size)
    ssize_t flistxattr(int file, char *names, size_t size)
    int fremovexattr(int file, const char *name)
    int fsetxattr(int file, const char *name, const void *value, size_t size, int flags)
    int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)


cdef extern from "unistd.h" nogil:
    int close(int file)
    int dup(int file)
    int fchown(int file, uid_t owner, gid_t group)
    int fchownat(int directory, const char *path, uid_t owner, gid_t group, int flags)
    int ftruncate(int file, off_t size)
    enum:
        SEEK_DATA, SEEK_HOLE
    off_t lseek(int file, off_t offset, int whence)
    ssize_t pread(int file, void *data, size_t size, off_t offset)
    int linkat(int old_directory, const char *old, int new_directory, const char *new, int flags)
    ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
    ssize_t readlinkat(int directory, const char *path, char *target, size_t size)
    int symlinkat(const char *target, int directory, const char *path)
    long syscall(long number, ...)
    int unlinkat(int directory, const char *path, int flags)
    ssize_t write(int file, const void *data, size_t size)


cdef extern from "sys/syscall.h" nogil:
    enum:
        SYS_getdents64


cdef extern from * nogil:
    """
    /* getdents64(2): the C library shows its records by a wrapper that older ones lack. */
    struct firkin_directory_record {
        unsigned long long d_ino;
        long long d_off;
        unsigned short d_reclen;
        unsigned char d_type;
        char d_name[];
    };
    """
    cdef struct directory_record "firkin_directory_record":
        unsigned short d_reclen
        unsigned char d_type
        char d_name[1]


cdef enum:
    OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
