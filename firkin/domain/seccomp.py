"""Which system calls a container may make: the default profile of podman, for the capabilities that it has.

The names and conditions are those of /usr/share/containers/seccomp.json of containers-common (Apache-2.0, the
Containers authors). What is unknown answers ENOSYS, so that C libraries fall back; what is refused answers EPERM.
Where that file both allows and refuses setns without CAP_SYS_ADMIN, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from .oci_runtime import LinuxSeccomp, SeccompArg, SeccompSyscalls

_ALLOWED = """
    _llseek _newselect accept accept4 access adjtimex alarm bind brk capget capset chdir chmod chown chown32
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 clone clone3 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create
    epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve
    execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod
    fchmodat fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsconfig
    fsetxattr fsmount fsopen fspick fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex
    futex_time64 futimesat get_mempolicy get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl ioprio_get ioprio_set ipc keyctl
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat
    listen listxattr llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise mbind membarrier memfd_create
    memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mount mount_setattr move_mount
    mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep
    newfstatat open open_tree openat openat2 pause pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pivot_root
    pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64
    process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2
    read readahead readdir readlink readlinkat readv reboot recv recvfrom recvmmsg recvmmsg_time64 recvmsg
    remap_file_pages removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64
    send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area set_tid_address
    setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
    setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
    setsockopt setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaction sigaltstack signal signalfd
    signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice stat stat64 statfs statfs64
    statx symlink symlinkat sync sync_file_range syncfs syscall sysinfo syslog tee tgkill time timer_create
    timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd timerfd_create
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit
    umask umount umount2 uname unlink unlinkat unshare utime utimensat utimensat_time64 utimes vfork wait4 waitid
    waitpid write writev
"""

# Names that some architectures alone have; libseccomp passes over those that are not its own.
_ALLOWED_BY_ARCHITECTURE = """
    arch_prctl arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush modify_ldt s390_pci_mmio_read
    s390_pci_mmio_write s390_runtime_instr set_tls sync_file_range2
"""

_REFUSED = """
    bdflush io_pgetevents kexec_file_load kexec_load migrate_pages move_pages nfsservctl nice oldfstat oldlstat
    oldolduname oldstat olduname pciconfig_iobase pciconfig_read pciconfig_write sgetmask ssetmask swapcontext
    swapoff swapon sysfs uselib userfaultfd ustat vm86 vm86old vmsplice
"""

_ALLOWED_BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf fanotify_init lookup_dcookie perf_event_open quotactl setdomainname sethostname setns",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module query_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

_EPERM = 1
_EINVAL = 22
_ENOSYS = 38
_ALLOW = "SCMP_ACT_ALLOW"
_ERRNO = "SCMP_ACT_ERRNO"

# A filter for each further architecture costs every container 5 to 10 ms of start, so that only those of the image
# are there: in an amd64 image, the kernel kills a 32-bit program at its first system call.
_ARCHITECTURES = {
    "amd64": ("SCMP_ARCH_X86_64",), "386": ("SCMP_ARCH_X86",),
    "arm64": ("SCMP_ARCH_AARCH64",), "arm": ("SCMP_ARCH_ARM",),
    "ppc64le": ("SCMP_ARCH_PPC64LE",), "riscv64": ("SCMP_ARCH_RISCV64",), "s390x": ("SCMP_ARCH_S390X",),
}  # fmt: skip

# personality(2) may ask for Linux or Linux32, with or without UNAME26, and for what it is now.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

# A file's project counts for a project quota. Who owns the file may change it (FS_IOC_FSSETXATTR), or that what is made
# in a directory has the directory's (also FS_IOC_SETFLAGS, in its two widths), unless he is in a user namespace:
# ioctl_xfs(2), ioctl_iflags(2). The system call for it, file_setattr (Linux 6.17), is unknown here, hence refused.
_CHANGING_PROJECTS = (0x401C5820, 0x40086602, 0x40046602)
_IOCTL_REQUEST, _INT_BITS = 1, 32

_SOCKET_DOMAIN, _NETLINK = 0, 16
_SOCKET_PROTOCOL, _AUDIT = 2, 9


def default_seccomp(capabilities: Iterable[str], architecture: str, *, keeps_projects: bool = False) -> LinuxSeccomp:
    """The profile for a process with `capabilities` on `architecture` (in the words of image platforms).

    With `keeps_projects` it cannot change the project of a file, by which a quota counts (`_CHANGING_PROJECTS`).
    """
    return _profile(frozenset(capabilities), architecture, keeps_projects)


@cache
def _profile(capabilities: frozenset[str], architecture: str, keeps_projects: bool) -> LinuxSeccomp:
    allowed, refused = set(f"{_ALLOWED} {_ALLOWED_BY_ARCHITECTURE}".split()), set(_REFUSED.split())
    for capability, names in _ALLOWED_BY_CAPABILITY.items():
        (allowed if capability in capabilities else refused).update(names.split())
    rules = [SeccompSyscalls(tuple(sorted(refused)), _ERRNO, _EPERM)]
    rules += [
        SeccompSyscalls(("personality",), _ALLOW, args=(SeccompArg(0, value, "SCMP_CMP_EQ"),))
        for value in _PERSONALITIES
    ]
    if "CAP_AUDIT_WRITE" in capabilities:
        allowed.add("socket")
    else:
        rules += _sockets_without_audit()
    if keeps_projects:
        allowed.remove("ioctl")
        rules += _ioctls_without(_CHANGING_PROJECTS)
    rules.append(SeccompSyscalls(tuple(sorted(allowed)), _ALLOW))
    return LinuxSeccomp(_ERRNO, _ENOSYS, _ARCHITECTURES.get(architecture, ()), tuple(rules))


def _ioctls_without(refused: tuple[int, ...]) -> list[SeccompSyscalls]:
    """Rules for ioctl(2) that refuse some requests, of which the kernel looks at 32 bits and a filter at 64.

    A comparison for equality would let the same request pass with a bit above those 32. So everything else is allowed,
    by what it begins with: each beginning is one of a refused request's with its last bit turned over.
    """
    rules = [SeccompSyscalls(("ioctl",), _ERRNO, _EPERM, (_begins(value, _INT_BITS),)) for value in refused]
    beginnings = {bits: {value >> (_INT_BITS - bits) for value in refused} for bits in range(1, _INT_BITS + 1)}
    for bits, refused_beginnings in beginnings.items():
        for beginning in sorted({one ^ 1 for one in refused_beginnings} - refused_beginnings):
            allowed = _begins(beginning << (_INT_BITS - bits), bits)
            rules.append(SeccompSyscalls(("ioctl",), _ALLOW, args=(allowed,)))
    return rules


def _begins(value: int, bits: int) -> SeccompArg:
    """That the request begins, from the highest of its 32 bits, with the first `bits` bits of `value`."""
    mask = (1 << bits) - 1 << (_INT_BITS - bits)
    return SeccompArg(_IOCTL_REQUEST, mask, "SCMP_CMP_MASKED_EQ", value)


def _sockets_without_audit() -> list[SeccompSyscalls]:
    netlink = SeccompArg(_SOCKET_DOMAIN, _NETLINK, "SCMP_CMP_EQ")
    audit = SeccompArg(_SOCKET_PROTOCOL, _AUDIT, "SCMP_CMP_EQ")
    other_domain = SeccompArg(_SOCKET_DOMAIN, _NETLINK, "SCMP_CMP_NE")
    other_protocol = SeccompArg(_SOCKET_PROTOCOL, _AUDIT, "SCMP_CMP_NE")
    # With the refusal before them, libseccomp 2.5 takes the last rule for one that exists with another action.
    return [
        SeccompSyscalls(("socket",), _ALLOW, args=(other_protocol,)),
        SeccompSyscalls(("socket",), _ALLOW, args=(other_domain,)),
        SeccompSyscalls(("socket",), _ERRNO, _EINVAL, (netlink, audit)),
    ]
