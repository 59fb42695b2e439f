"""What goes wrong with pods that outlive the command that started them."""

from __future__ import annotations

from errno import EBADF, EBUSY, EEXIST, EHOSTDOWN, EHOSTUNREACH, EINVAL, ENOENT, ESRCH

from .base import FirkinError


class PodNotFound(FirkinError):
    """No pod of this name is kept."""

    code = "pod-not-found"
    errno = ENOENT

    def __init__(self, pod_id: str) -> None:
        super().__init__(f"there is no pod {pod_id!r}; `firkin ps -a` lists those there are")
        self.pod_id = pod_id


class PodNameTaken(FirkinError):
    """A pod of this name is kept already, running or ended."""

    code = "pod-name-taken"
    errno = EEXIST

    def __init__(self, pod_id: str, phase: str) -> None:
        super().__init__(f"pod {pod_id!r} exists and is {phase}: choose another name, or `firkin rm -f {pod_id}` first")
        self.pod_id = pod_id
        self.phase = phase


class PodStillRunning(FirkinError):
    """The pod runs, so its record cannot be removed."""

    code = "pod-still-running"
    errno = EBUSY

    def __init__(self, pod_id: str) -> None:
        super().__init__(f"pod {pod_id!r} is running: `firkin stop {pod_id}` first, or `firkin rm -f {pod_id}`")
        self.pod_id = pod_id


class PodOver(FirkinError):
    """The pod has ended: there is nothing to run in it, to stop or to attach to."""

    code = "pod-over"
    errno = ESRCH

    def __init__(self, pod_id: str, phase: str) -> None:
        super().__init__(
            f"pod {pod_id!r} is {phase}, not running; `firkin logs {pod_id}` still shows what it wrote, "
            f"`firkin rm {pod_id}` removes it"
        )
        self.pod_id = pod_id
        self.phase = phase


class SupervisorDied(FirkinError):
    """The process that ran the pod was killed, and the pod with it."""

    code = "supervisor-died"
    errno = EHOSTDOWN

    def __init__(self, pod_id: str) -> None:
        super().__init__(
            f"the supervisor of pod {pod_id!r} was killed, and the pod with it: `firkin gc` removes what it left, "
            f"`firkin logs {pod_id}` still shows what it wrote, `firkin rm {pod_id}` removes it"
        )
        self.pod_id = pod_id


class SupervisorUnreachable(FirkinError):
    """The pod's supervisor lives, but does not answer, or went away during the call."""

    code = "supervisor-unreachable"
    retryable = True
    errno = EHOSTUNREACH

    def __init__(self, pod_id: str, reason: str) -> None:
        super().__init__(f"the supervisor of pod {pod_id!r} does not answer: {reason}")
        self.pod_id = pod_id
        self.reason = reason


class ContainerAmbiguous(FirkinError):
    """The pod has several containers, and none was named."""

    code = "container-ambiguous"
    errno = EINVAL

    def __init__(self, pod_id: str, containers: tuple[str, ...]) -> None:
        has = f"containers {', '.join(containers)}: name one with -c" if containers else "no containers"
        super().__init__(f"pod {pod_id!r} has {has}")
        self.pod_id = pod_id
        self.containers = containers


class NoStandardInput(FirkinError):
    """The container was started without standard input, so nothing can be sent to it."""

    code = "no-standard-input"
    errno = EBADF

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id!r} was started without standard input: `firkin run -d -i` keeps it")
        self.container_id = container_id
