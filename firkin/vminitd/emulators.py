"""Emulators: programs by which the kernel runs binaries that are none of its own (binfmt_misc.rst)."""

from __future__ import annotations

import errno
import os
import re
import threading

from firkin.domain.errors import AgentError, InvalidArgument, UnsupportedFeature
from firkin.wire.sandbox_context_pb2 import SetupEmulatorRequest

from .error_numbers import number_of
from .kernel import BINARY_FORMATS, owns_kernel
from .kernel_modules import load_kernel_module
from .sandbox_init import SECURE, mount

_MODULE = "binfmt_misc"
_RULE_BYTES = 1920
_HEXADECIMAL = re.compile(rb"\\x([0-9a-fA-F]{1,2})")
_showing = threading.Lock()


def set_up_emulator(request: SetupEmulatorRequest, directory: str = BINARY_FORMATS) -> None:
    """Let the kernel run a kind of binary by an emulator (binfmt_misc.rst); the same one twice is fine.

    With the flag F the kernel keeps the emulator's file open: the filesystem that has it cannot be unmounted then.

    Raises:
        InvalidArgument: it is no rule that the kernel could read.
        UnsupportedFeature: the kernel has no binfmt_misc, or it is the host's.
        AgentError: the kernel refuses; EEXIST: another rule has this name.
    """
    fields = [request.name, request.type, request.offset, request.magic, request.mask, request.binary_path]
    fields.append(request.flags)
    rule = "".join(f":{field}" for field in fields)
    if not request.name or request.name in (".", "..", "register", "status") or "/" in request.name:
        raise InvalidArgument(f"{request.name!r} cannot be the name of an emulator")
    if request.type not in ("M", "E") or not request.magic or not request.binary_path.startswith("/"):
        raise InvalidArgument("an emulator needs the type M or E, a magic and an absolute path")
    if rule.count(":") != len(fields) or not rule.isascii() or not rule.isprintable() or len(rule) > _RULE_BYTES:
        raise InvalidArgument(
            f"the emulator {request.name!r} has a colon, a character that is not ASCII, or is too long"
        )
    if directory == BINARY_FORMATS:
        if not owns_kernel():
            raise UnsupportedFeature("an emulator", "the sandbox shares its kernel with the host, which would have it")
        _show_binary_formats()
    if not os.path.exists(f"{directory}/register"):
        raise UnsupportedFeature("an emulator", "this kernel has no binfmt_misc")
    path = f"{directory}/{request.name}"
    if os.path.lexists(path):
        if not _is_same_emulator(path, request):
            raise AgentError("set up emulator", "another rule has this name", path=path, errno=errno.EEXIST)
        return
    try:
        with open(f"{directory}/register", "wb", buffering=0) as register:
            register.write(rule.encode())
    except OSError as error:
        raise AgentError("set up emulator", "the kernel refuses", path=path, errno=number_of(error)) from error


def _is_same_emulator(path: str, request: SetupEmulatorRequest) -> bool:
    with open(path, encoding="ascii", errors="replace") as file:
        lines = file.read().splitlines()
    kind, _, magic = next((line for line in lines if line.startswith(("magic ", "extension "))), "").partition(" ")
    if f"interpreter {request.binary_path}" not in lines:
        return False
    if kind == "extension":
        return request.type == "E" and magic == f".{request.magic}"
    return request.type == "M" and magic == _unescaped(request.magic).hex()


def _unescaped(text: str) -> bytes:
    """As the kernel reads a magic: it knows no other escape than this one, and takes the rest as it is written."""
    return _HEXADECIMAL.sub(lambda found: bytes([int(found[1], 16)]), text.encode("ascii"))


def _show_binary_formats() -> None:
    """Mount binfmt_misc where it is looked for; its module is loaded when an emulator is first wanted, not at boot.

    Raises:
        AgentError: the kernel refuses. That it has none is no error here.
    """
    with _showing:
        if os.path.exists(f"{BINARY_FORMATS}/register"):
            return
        try:
            load_kernel_module(_MODULE)
            # A directory that only a kernel has that knows the filesystem.
            if os.path.isdir(BINARY_FORMATS):
                mount("binfmt_misc", BINARY_FORMATS, "binfmt_misc", SECURE)
        except OSError as error:
            reason = error.strerror or "the kernel refuses"
            raise AgentError("set up emulator", reason, path=BINARY_FORMATS, errno=number_of(error)) from error
