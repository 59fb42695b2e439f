"""Values that break a rule, found before anything happens."""

from __future__ import annotations

from errno import EINVAL
from typing import NamedTuple

from .base import FirkinError


class InvalidArgument(FirkinError, ValueError):
    """A value that no operation of firkin can take."""

    code = "invalid-argument"
    errno = EINVAL


class InvalidId(InvalidArgument):
    """A pod, container, process or volume id that breaks the rule of ids."""

    code = "invalid-id"

    def __init__(self, kind: str, value: str, reason: str) -> None:
        super().__init__(f"{kind} id {value!r} is invalid: {reason}")
        self.kind = kind
        self.value = value
        self.reason = reason


class InvalidGuestPath(InvalidArgument):
    """A path that cannot be used inside a sandbox or container."""

    code = "invalid-guest-path"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"guest path {path!r} is invalid: {reason}")
        self.path = path
        self.reason = reason


class InvalidRelativePath(InvalidArgument):
    """A path that may leave the volume it is relative to."""

    code = "invalid-relative-path"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"relative path {path!r} is invalid: {reason}")
        self.path = path
        self.reason = reason


class InvalidSize(InvalidArgument):
    """A size that is negative, cannot be read, or is beyond all files."""

    code = "invalid-size"

    def __init__(self, value: object) -> None:
        super().__init__(
            f"size {value!r} is invalid: give bytes, or a number with B, KiB, MiB, GiB, TiB (or Ki, M, ...)"
        )
        self.value = value


class InvalidPortForward(InvalidArgument):
    """A text that does not say which port of the host leads to which port of a pod."""

    code = "invalid-port-forward"

    def __init__(self, value: str, reason: str) -> None:
        super().__init__(f"port forward {value!r} is invalid: {reason}")
        self.value = value
        self.reason = reason


class InvalidTerminalSize(InvalidArgument):
    """A terminal with a side that is negative or more than 65535."""

    code = "invalid-terminal-size"

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(f"a terminal cannot have {columns} columns and {rows} rows: each is a number from 0 to 65535")
        self.columns = columns
        self.rows = rows


class InvalidDigest(InvalidArgument):
    """A digest that is not `sha256:` and 64 lower-case hexadecimal digits."""

    code = "invalid-digest"

    def __init__(self, value: str) -> None:
        super().__init__(f"digest {value!r} is invalid: expected sha256: and 64 hexadecimal digits (0-9, a-f)")
        self.value = value


class InvalidReference(InvalidArgument):
    """An image reference that no configured image source understands."""

    code = "invalid-reference"

    def __init__(self, reference: str, reason: str) -> None:
        super().__init__(f"image reference {reference!r} is invalid: {reason}")
        self.reference = reference
        self.reason = reason


class SpecProblem(NamedTuple):
    """One thing that is wrong with a pod spec: where (`containers[1].env[0]`), its code, and a sentence."""

    where: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class InvalidPodSpec(InvalidArgument):
    """A pod spec with at least one problem; all of them are in `problems`."""

    code = "invalid-pod-spec"

    def __init__(self, pod_id: str, problems: tuple[SpecProblem, ...]) -> None:
        listed = "; ".join(str(problem) for problem in problems)
        super().__init__(f"pod {pod_id!r} cannot run: {listed}")
        self.pod_id = pod_id
        self.problems = problems
