"""The sandbox or its agent did not do what it was asked."""

from __future__ import annotations

import os
from errno import EHOSTDOWN, EHOSTUNREACH, EINVAL, EIO, ETIMEDOUT
from typing import Self

from .base import FirkinError


class SandboxError(FirkinError):
    """The sandbox as a whole failed."""

    code = "sandbox"
    errno = EIO


class BootFailed(SandboxError):
    """The sandbox did not come up.

    Attributes:
        step: what of the boot failed, as an operation ("connect to vminitd").
        console_tail: the last lines that the sandbox wrote.
        phase: of its life when it ended or was given up, as of SandboxDied; `boot` unless its agent listened already.
        exit_status: of the process that held it, negative for a signal; None when it has not ended, or is not known.
    """

    code = "boot-failed"
    errno = EHOSTDOWN

    def __init__(
        self, step: str, reason: str, console_tail: str = "", phase: str = "", exit_status: int | None = None
    ) -> None:
        tail = f"\nlast lines of its console:\n{console_tail}" if console_tail else ""
        super().__init__(f"sandbox failed to boot ({step}): {reason}{tail}")
        self.step = step
        self.reason = reason
        self.console_tail = console_tail
        self.phase = phase or "boot"
        self.exit_status = exit_status


class GuestImageFailed(SandboxError):
    """What virtual machines boot from could not be made."""

    code = "guest-image-failed"

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"guest image cannot be made: failed to {step}: {reason}")
        self.step = step
        self.reason = reason


class SandboxDied(SandboxError):
    """The sandbox ended while it was needed.

    Attributes:
        console_tail: the last lines it wrote.
        phase: of its life when it ended: `boot`, `running` or `stopping`; "" when nobody kept count.
        exit_status: of the process that held it, negative for a signal; None when that is not known.
    """

    code = "sandbox-died"
    errno = EHOSTDOWN

    def __init__(self, reason: str, console_tail: str = "", phase: str = "", exit_status: int | None = None) -> None:
        tail = f"\nlast lines of its console:\n{console_tail}" if console_tail else ""
        super().__init__(f"sandbox died: {reason}{tail}")
        self.reason = reason
        self.console_tail = console_tail
        self.phase = phase
        self.exit_status = exit_status


class NoAnswer(FirkinError):
    """The guest agent's answer did not come, though its sandbox has not ended, as far as its host can see.

    Attributes:
        sandbox_condition: how the sandbox was then, as a clause; "" for a sandbox that does not tell.
        console_tail: the last lines it had written.
        phase: of its life then: `boot`, `running` or `stopping`; "" when nobody kept count.
    """

    code = "no-answer"
    retryable = True
    errno = ETIMEDOUT
    sandbox_condition: str = ""
    console_tail: str = ""
    phase: str = ""

    def seen(self, sandbox_condition: str, console_tail: str, phase: str) -> Self:
        """Return this error with how the sandbox was, unless that is told already."""
        if not self.sandbox_condition:
            tail = f"\nlast lines of its console:\n{console_tail}" if console_tail else ""
            self.args = (f"{self}; {sandbox_condition}{tail}",)
            self.sandbox_condition = sandbox_condition
            self.console_tail = console_tail
            self.phase = phase
        return self


class AgentUnreachable(NoAnswer):
    """The guest agent does not answer any more, or not yet."""

    code = "agent-unreachable"
    errno = EHOSTUNREACH

    def __init__(self, reason: str) -> None:
        super().__init__(f"guest agent is unreachable: {reason}")
        self.reason = reason


class DeadlineExceeded(NoAnswer):
    """An operation took longer than its deadline allows."""

    code = "deadline-exceeded"

    def __init__(self, operation: str, seconds: float) -> None:
        super().__init__(f"{operation} did not finish within {seconds:g} s")
        self.operation = operation
        self.seconds = seconds


class AgentError(FirkinError):
    """The guest agent could not do something; `errno` (0 when unknown) and `path` tell what stood in the way."""

    code = "agent"

    def __init__(self, operation: str, reason: str, *, path: str = "", errno: int = 0) -> None:
        at = f" {path}" if path else ""
        why = f" ({os.strerror(errno)})" if errno and os.strerror(errno) not in reason else ""
        super().__init__(f"guest agent failed to {operation}{at}: {reason}{why}")
        self.operation = operation
        self.reason = reason
        self.path = path
        self.errno = errno


class PathRefused(FirkinError):
    """A path led out of the place it must stay in, for example through a symlink that a container planted."""

    code = "path-refused"

    def __init__(self, path: str, reason: str, *, errno: int = EINVAL) -> None:
        super().__init__(f"path {path!r} was refused: {reason}")
        self.path = path
        self.reason = reason
        self.errno = errno
