"""Names of pods, containers, processes and volumes."""

from __future__ import annotations

from typing import ClassVar, Self

from firkin._fast import id_problem

from .errors import InvalidId


class _Id(str):
    """1 to 64 characters of `[A-Za-z0-9_.-]`, the first a letter or digit: so `.` and `..` never pass."""

    __slots__ = ()
    kind: ClassVar[str]

    def __new__(cls, value: str) -> Self:
        """Check `value` and make it an id.

        Raises:
            InvalidId: the value breaks the rule.
        """
        if type(value) is cls:
            return value
        problem = id_problem(value.encode("utf-8", "surrogatepass"))
        if problem is not None:
            raise InvalidId(cls.kind, value, problem)
        return super().__new__(cls, value)


class PodId(_Id):
    """Names a pod; unique among the pods that live on one store."""

    kind = "pod"


class ContainerId(_Id):
    """Names a container; unique within its pod."""

    kind = "container"


class ProcessId(_Id):
    """Names a process; a container's init has the container's id, every other one is an exec."""

    kind = "process"


class VolumeName(_Id):
    """Names an emptyDir of a pod."""

    kind = "volume"
