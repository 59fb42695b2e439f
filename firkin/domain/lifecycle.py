"""The only place that says which state follows which."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from .errors import IllegalTransition


class PodPhase(enum.StrEnum):
    """Where a pod is in its life."""

    VALIDATED = "validated"
    BOOTING = "booting"
    AGENT_READY = "agent ready"
    STORE_MOUNTED = "store mounted"
    STARTING = "starting containers"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class PodEvent(enum.StrEnum):
    """What happens to a pod."""

    BOOT_BEGUN = "boot begun"
    AGENT_ANSWERED = "agent answered"
    STORE_PREPARED = "store prepared"
    VOLUMES_PREPARED = "volumes prepared"
    CONTAINERS_STARTED = "containers started"
    STOP_BEGUN = "stop begun"
    STOPPED = "stopped"
    SANDBOX_DIED = "sandbox died"


class ContainerPhase(enum.StrEnum):
    """Where a container is in its life."""

    PENDING = "pending"
    PREPARED = "prepared"
    STARTING = "starting"
    STARTED = "started"
    RUNNING = "running"
    EXITED = "exited"
    REMOVING = "removing"
    REMOVED = "removed"


class ContainerEvent(enum.StrEnum):
    """What happens to a container."""

    ROOTFS_PREPARED = "rootfs prepared"
    START_BEGUN = "start begun"
    PROCESS_STARTED = "process started"
    COMMITTED = "committed"
    EXITED = "exited"
    START_FAILED = "start failed"
    RESTART_BEGUN = "restart begun"
    REMOVAL_BEGUN = "removal begun"
    REMOVED = "removed"


_POD_FAILURES = {PodEvent.STOP_BEGUN: PodPhase.STOPPING, PodEvent.SANDBOX_DIED: PodPhase.FAILED}

POD_TRANSITIONS: Mapping[PodPhase, Mapping[PodEvent, PodPhase]] = {
    PodPhase.VALIDATED: {PodEvent.BOOT_BEGUN: PodPhase.BOOTING, PodEvent.STOP_BEGUN: PodPhase.STOPPING},
    PodPhase.BOOTING: {PodEvent.AGENT_ANSWERED: PodPhase.AGENT_READY, **_POD_FAILURES},
    PodPhase.AGENT_READY: {PodEvent.STORE_PREPARED: PodPhase.STORE_MOUNTED, **_POD_FAILURES},
    PodPhase.STORE_MOUNTED: {PodEvent.VOLUMES_PREPARED: PodPhase.STARTING, **_POD_FAILURES},
    PodPhase.STARTING: {PodEvent.CONTAINERS_STARTED: PodPhase.RUNNING, **_POD_FAILURES},
    PodPhase.RUNNING: {**_POD_FAILURES},
    PodPhase.FAILED: {PodEvent.STOP_BEGUN: PodPhase.STOPPING},
    PodPhase.STOPPING: {PodEvent.STOPPED: PodPhase.STOPPED},
    PodPhase.STOPPED: {},
}

_REMOVABLE = {ContainerEvent.REMOVAL_BEGUN: ContainerPhase.REMOVING}

CONTAINER_TRANSITIONS: Mapping[ContainerPhase, Mapping[ContainerEvent, ContainerPhase]] = {
    ContainerPhase.PENDING: {ContainerEvent.ROOTFS_PREPARED: ContainerPhase.PREPARED, **_REMOVABLE},
    ContainerPhase.PREPARED: {ContainerEvent.START_BEGUN: ContainerPhase.STARTING, **_REMOVABLE},
    ContainerPhase.STARTING: {
        ContainerEvent.PROCESS_STARTED: ContainerPhase.STARTED,
        ContainerEvent.START_FAILED: ContainerPhase.EXITED,
        **_REMOVABLE,
    },
    ContainerPhase.STARTED: {
        ContainerEvent.COMMITTED: ContainerPhase.RUNNING,
        ContainerEvent.EXITED: ContainerPhase.EXITED,
        **_REMOVABLE,
    },
    ContainerPhase.RUNNING: {ContainerEvent.EXITED: ContainerPhase.EXITED, **_REMOVABLE},
    # A container may end before its add is committed; committing it then changes nothing.
    ContainerPhase.EXITED: {
        ContainerEvent.COMMITTED: ContainerPhase.EXITED,
        ContainerEvent.RESTART_BEGUN: ContainerPhase.STARTING,
        **_REMOVABLE,
    },
    ContainerPhase.REMOVING: {
        ContainerEvent.EXITED: ContainerPhase.REMOVING,
        ContainerEvent.REMOVED: ContainerPhase.REMOVED,
    },
    ContainerPhase.REMOVED: {},
}

Phase = TypeVar("Phase", bound=enum.StrEnum)
Event = TypeVar("Event", bound=enum.StrEnum)


class Lifecycle(Generic[Phase, Event]):
    """The phase of one thing; `apply` is the only way to change it."""

    __slots__ = ("_on_change", "_phase", "_subject", "_transitions")

    def __init__(self, subject: str, transitions: Mapping[Phase, Mapping[Event, Phase]], start: Phase) -> None:
        self._subject = subject
        self._transitions = transitions
        self._phase = start
        self._on_change: Callable[[Phase], None] | None = None

    @property
    def phase(self) -> Phase:
        """Where it is now."""
        return self._phase

    def observe(self, on_change: Callable[[Phase], None]) -> None:
        """Call `on_change` with every phase from now on, right when it begins; there is one observer."""
        self._on_change = on_change

    def can(self, event: Event) -> bool:
        """True when `event` is possible now."""
        return event in self._transitions[self._phase]

    def apply(self, event: Event) -> Phase:
        """Go on to the phase that follows.

        Raises:
            IllegalTransition: the table has no such step.
        """
        following = self._transitions[self._phase].get(event)
        if following is None:
            raise IllegalTransition(self._subject, self._phase, event)
        self._phase = following
        if self._on_change is not None:
            self._on_change(following)
        return following


def pod_lifecycle(pod_id: str) -> Lifecycle[PodPhase, PodEvent]:
    """The life of a pod that passed validation."""
    return Lifecycle(f"pod {pod_id!r}", POD_TRANSITIONS, PodPhase.VALIDATED)


def container_lifecycle(container_id: str) -> Lifecycle[ContainerPhase, ContainerEvent]:
    """The life of a container whose id was just reserved."""
    return Lifecycle(f"container {container_id!r}", CONTAINER_TRANSITIONS, ContainerPhase.PENDING)
