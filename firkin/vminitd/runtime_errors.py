"""What an OCI runtime says about a failure, read once: crun's and runc's sentences become firkin's errors."""

from __future__ import annotations

import re

from firkin.domain.errors import CommandNotExecutable, CommandNotFound, FirkinError, RuntimeFailed, StoreFull

from .error_numbers import told_number

NOT_FOUND_CODE = CommandNotFound.exit_code
NOT_EXECUTABLE_CODE = CommandNotExecutable.exit_code

_COMMAND_MISSING = re.compile(r"executable file .* not found|^exec: .*no such file or directory", re.I)
_COMMAND_REFUSED = re.compile(
    r"open executable: (?P<reason>.+)|^exec: .*(?P<denied>permission denied|is a directory|exec format error)", re.I
)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.I)
# Written by the process itself, after the runtime had answered: execve(2) was refused.
_EXECUTION_FAILED = re.compile(r"^(?:exec container process[^`]*`[^`]*`|exec): (?P<reason>.+)", re.I)
_LOGFMT_MESSAGE = re.compile(r'level=\w+ msg="(?P<message>(?:[^"\\\\]|\\\\.)*)"')
_NO_SUCH_FILE = "no such file"


def logged_error(log: bytes) -> str:
    """The last error in a runtime's log: crun's plain lines, or runc's `level=error msg="..."`; "" for none."""
    lines = [line for line in log.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    quoted = _LOGFMT_MESSAGE.search(lines[-1])
    return quoted["message"].replace('\\"', '"') if quoted is not None else lines[-1]


def start_error(runtime: str, command: str, message: str, store_path: str) -> FirkinError:
    """The error for a start that the runtime refused with `message`."""
    if _NO_SPACE.search(message):
        return StoreFull(store_path)
    if _COMMAND_MISSING.search(message):
        return CommandNotFound(command)
    refused = _COMMAND_REFUSED.search(message)
    if refused is not None:
        reason = refused["reason"] or refused["denied"]
        return CommandNotExecutable(command, reason, errno=told_number(reason))
    return RuntimeFailed(runtime, message or "it gave no reason", errno=told_number(message))


def failed_execution(log: bytes) -> tuple[int, str] | None:
    """The exit code and the reason when a started process could not execute its command, else None.

    A runtime that detaches has answered by then, so this is known at the process's end only.
    """
    found = _EXECUTION_FAILED.search(logged_error(log))
    if found is None:
        return None
    reason = found["reason"]
    return (NOT_FOUND_CODE if _NO_SUCH_FILE in reason.lower() else NOT_EXECUTABLE_CODE), reason
