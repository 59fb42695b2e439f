"""What a pod cannot do in the state it is in."""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EBUSY, ECANCELED, EEXIST, EFBIG, EINVAL, ENODATA, ENOENT, ESHUTDOWN, ESRCH

from .base import FirkinError


class RuntimeClosed(FirkinError):
    """The runtime was left before the call or, in `firkin.sync`, while it was under way."""

    code = "runtime-closed"
    errno = ESHUTDOWN

    def __init__(self) -> None:
        super().__init__("the runtime is closed")


class HostPortUnavailable(FirkinError):
    """The host does not let firkin listen where a port is to be forwarded from."""

    code = "host-port-unavailable"
    errno = EADDRNOTAVAIL

    def __init__(self, address: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on port {port} of {address}: {reason}")
        self.address = address
        self.port = port
        self.reason = reason


class PodExists(FirkinError):
    """A pod of this id is running on this store."""

    code = "pod-exists"
    errno = EEXIST

    def __init__(self, pod_id: str) -> None:
        super().__init__(f"pod {pod_id!r} is already running on this store")
        self.pod_id = pod_id


class PodNotRunning(FirkinError):
    """The pod is stopping, stopped or failed."""

    code = "pod-not-running"
    errno = ESRCH

    def __init__(self, pod_id: str, phase: str) -> None:
        super().__init__(f"pod {pod_id!r} is {phase}, not running")
        self.pod_id = pod_id
        self.phase = phase


class ContainerExists(FirkinError):
    """The pod has, or is adding, a container of this id."""

    code = "container-exists"
    errno = EEXIST

    def __init__(self, pod_id: str, container_id: str) -> None:
        super().__init__(f"container {container_id!r} already exists in pod {pod_id!r}")
        self.pod_id = pod_id
        self.container_id = container_id


class ContainerNotFound(FirkinError):
    """The pod has no container of this id."""

    code = "container-not-found"
    errno = ENOENT

    def __init__(self, pod_id: str, container_id: str) -> None:
        super().__init__(f"pod {pod_id!r} has no container {container_id!r}")
        self.pod_id = pod_id
        self.container_id = container_id


class ContainerNotPending(FirkinError):
    """The container cannot be committed: its add was aborted, committed, or belongs to another pod."""

    code = "container-not-pending"
    errno = ENOENT

    def __init__(self, pod_id: str, container_id: str) -> None:
        super().__init__(f"container {container_id!r} is not pending on pod {pod_id!r}")
        self.pod_id = pod_id
        self.container_id = container_id


class InitContainerFailed(FirkinError):
    """An init container did not end with exit code 0, so the pod's containers were not started."""

    code = "init-container-failed"
    errno = ECANCELED

    def __init__(self, container_id: str, status: str, output_tail: str = "") -> None:
        tail = f"\nlast lines of its output:\n{output_tail}" if output_tail else ""
        super().__init__(f"init container {container_id!r} failed ({status}){tail}")
        self.container_id = container_id
        self.status = status
        self.output_tail = output_tail


class ContainerNotRunning(FirkinError):
    """The container has no running process to act on."""

    code = "container-not-running"

    def __init__(self, container_id: str, phase: str, *, errno: int = ESRCH) -> None:
        super().__init__(f"container {container_id!r} is {phase}, not running")
        self.container_id = container_id
        self.phase = phase
        self.errno = errno


class NotLogged(FirkinError):
    """The container keeps no log: none of its streams is `Stdio.LOG`."""

    code = "not-logged"
    errno = ENODATA

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id!r} keeps no log: its spec asks for one by `.log()`")
        self.container_id = container_id


class VolumeNotFound(FirkinError):
    """The pod declares no emptyDir of this name."""

    code = "volume-not-found"
    errno = ENOENT

    def __init__(self, pod_id: str, volume: str) -> None:
        super().__init__(f"pod {pod_id!r} declares no emptyDir {volume!r}")
        self.pod_id = pod_id
        self.volume = volume


class IllegalTransition(FirkinError):
    """An event that the lifecycle table does not allow in this phase: a defect of the caller or of firkin."""

    code = "illegal-transition"
    errno = EINVAL

    def __init__(self, subject: str, phase: str, event: str) -> None:
        super().__init__(f"{subject} is {phase}: {event} is not possible now")
        self.subject = subject
        self.phase = phase
        self.event = event


class OutputLimitExceeded(FirkinError):
    """A captured stream grew past the limit; the process went on, the rest was read and dropped."""

    code = "output-limit-exceeded"
    errno = EFBIG

    def __init__(self, container_id: str, stream: str, limit_bytes: int) -> None:
        super().__init__(f"{stream} of container {container_id!r} exceeded the capture limit of {limit_bytes} bytes")
        self.container_id = container_id
        self.stream = stream
        self.limit_bytes = limit_bytes


class RemovalIncomplete(FirkinError):
    """A container left the pod, but not all of it could be stopped or cleaned up; the reasons are in the message."""

    code = "removal-incomplete"
    errno = EBUSY

    def __init__(self, container_id: str, reasons: str) -> None:
        super().__init__(f"container {container_id!r} was removed from the pod, but not cleanly: {reasons}")
        self.container_id = container_id
        self.reasons = reasons
