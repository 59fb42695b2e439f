"""Compiling a seccomp profile once instead of at every start.

An OCI runtime compiles its profile of several hundred rules anew for each container, which is a third of the time
that crun needs for a start. crun takes a compiled one too, from an annotation; so does this agent's next container
of the same profile. libseccomp, which crun is linked to, does the compiling (seccomp_init(3) and its pages).
"""

from __future__ import annotations

import base64
import ctypes
import errno
import functools
import os
import platform

import msgspec

from firkin.domain.json_decoding import decoded_json

ANNOTATION = "run.oci.seccomp_bpf_data"
"""crun(1): base64 of the filter that is used instead of `linux.seccomp`."""

_LIBRARY = "libseccomp.so.2"
_UNKNOWN_SYSCALL = -1
_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_OPERATORS = ("", "NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")  # by their number in enum scmp_compare
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000


class _Argument(msgspec.Struct, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class _Rule(msgspec.Struct, rename="camel"):
    names: tuple[str, ...]
    action: str
    errno_ret: int | None = None
    args: tuple[_Argument, ...] = ()


class _Profile(msgspec.Struct, rename="camel"):
    default_action: str
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    listener_path: str = ""
    syscalls: tuple[_Rule, ...] = ()


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


@functools.lru_cache(maxsize=16)
def compiled_filter(profile: bytes) -> str | None:
    """Compile `linux.seccomp` (runtime-spec, config-linux.md), to base64 of its BPF program.

    None when it is to be left to the runtime: it asks for more than this knows, or libseccomp is not installed.
    """
    try:
        parsed = decoded_json(profile, _Profile)
        library = _library()
        default = _action(parsed.default_action, parsed.default_errno_ret)
    except (msgspec.MsgspecError, OSError, ValueError):
        return None
    if parsed.architectures != (_ARCHITECTURES.get(platform.machine(), ""),) or parsed.flags or parsed.listener_path:
        return None
    state = library.seccomp_init(default)
    if not state:
        return None
    try:
        for rule in parsed.syscalls:
            _add(library, state, rule, default)
        return base64.b64encode(_exported(library, state)).decode()
    except (OSError, ValueError):
        return None
    finally:
        library.seccomp_release(state)


def can_compile() -> bool:
    """Whether libseccomp is there, with which an OCI runtime filters system calls, too."""
    try:
        _library()
    except OSError:
        return False
    return True


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    return library


def _action(name: str, errno_ret: int | None) -> int:
    if name == "SCMP_ACT_ALLOW":
        return _ALLOW
    if name == "SCMP_ACT_ERRNO":
        return _ERRNO | (errno.EPERM if errno_ret is None else errno_ret)
    raise ValueError(f"{name} is left to the runtime")


def _add(library: ctypes.CDLL, state: int, rule: _Rule, default: int) -> None:
    action = _action(rule.action, rule.errno_ret)
    if action == default:
        return
    comparisons = (_Comparison * max(len(rule.args), 1))(*(_comparison(argument) for argument in rule.args))
    for name in rule.names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN_SYSCALL:
            # A profile names calls of newer kernels and other architectures; what libseccomp does not know
            # falls under the default action, as it does with the runtime.
            continue
        status = library.seccomp_rule_add_array(state, action, number, len(rule.args), comparisons)
        if status != 0:
            raise OSError(-status, os.strerror(-status), name)


def _comparison(argument: _Argument) -> _Comparison:
    operator = _OPERATORS.index(argument.op.removeprefix("SCMP_CMP_"))
    return _Comparison(argument.index, operator, argument.value, argument.value_two)


def _exported(library: ctypes.CDLL, state: int) -> bytes:
    with os.fdopen(os.memfd_create("seccomp"), "r+b", buffering=0) as program:
        status = library.seccomp_export_bpf(state, program.fileno())
        if status != 0:
            raise OSError(-status, os.strerror(-status))
        program.seek(0)
        return program.readall()
