"""What happens in a pod, as values; `at_unix_seconds` is when, by the clock of whoever saw it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from .lifecycle import ContainerPhase, PodPhase
from .process import ContainerStartupTiming, ExitStatus

BUFFERED_EVENTS = 1024


class Subscribed(msgspec.Struct, frozen=True):
    """The agent tells what happens from now on."""

    at_unix_seconds: float


class ProcessCreated(msgspec.Struct, frozen=True):
    """A process got its streams and its place; for a container's init, `process_id` is the container's id."""

    at_unix_seconds: float
    container_id: str
    process_id: str


class ProcessStarted(msgspec.Struct, frozen=True):
    """A command runs: its number in the sandbox, and what the OCI runtime took to start it."""

    at_unix_seconds: float
    container_id: str
    process_id: str
    pid: int
    runtime_seconds: float


class ProcessExited(msgspec.Struct, frozen=True):
    """A process ended, by itself or not; its output may still be on its way."""

    at_unix_seconds: float
    container_id: str
    process_id: str
    status: ExitStatus
    lifetime_seconds: float


class OutOfMemory(msgspec.Struct, frozen=True):
    """The kernel killed `kills` processes of a container for want of memory."""

    at_unix_seconds: float
    container_id: str
    kills: int


class AgentStopping(msgspec.Struct, frozen=True):
    """The guest agent is about to end, and everything in the sandbox with it."""

    at_unix_seconds: float


class EventsMissed(msgspec.Struct, frozen=True):
    """Whoever listens did not keep up: so many events before the next one were dropped."""

    at_unix_seconds: float
    count: int


class PodPhaseChanged(msgspec.Struct, frozen=True):
    """The pod went on in its life."""

    at_unix_seconds: float
    phase: PodPhase


class ContainerPhaseChanged(msgspec.Struct, frozen=True):
    """A container went on in its life, as its pod sees it."""

    at_unix_seconds: float
    container_id: str
    phase: ContainerPhase


class ContainerReadinessChanged(msgspec.Struct, frozen=True):
    """A container became ready for work, or is not any more: by its probes, or because it ended."""

    at_unix_seconds: float
    container_id: str
    is_ready: bool


class ProbeFailed(msgspec.Struct, frozen=True):
    """A probe (`startup`, `liveness` or `readiness`) failed once; the reason is the second half of a sentence."""

    at_unix_seconds: float
    container_id: str
    probe: str
    reason: str


class ContainerStarted(msgspec.Struct, frozen=True):
    """The command of a container runs, for the first time or again, and this is what its start took, stage by stage."""

    at_unix_seconds: float
    container_id: str
    timing: ContainerStartupTiming


class ContainerStartFailed(msgspec.Struct, frozen=True):
    """A container did not start, for the first time or again.

    Attributes:
        error: the code of the error.
        failed_stage: the stage in which it happened; "" when that is not known.
        stage_seconds: what the stages took until then.
    """

    at_unix_seconds: float
    container_id: str
    error: str
    failed_stage: str
    stage_seconds: Mapping[str, float]


class PodStarted(msgspec.Struct, frozen=True):
    """A pod runs, with all that it begins with, and this is what the stages of its spawn took."""

    at_unix_seconds: float
    stage_seconds: Mapping[str, float]


class PodStartFailed(msgspec.Struct, frozen=True):
    """A pod did not come up. Told to who listens to the runtime: nobody has a handle of the pod.

    Attributes:
        error: the code of the error.
        failed_stage: the innermost stage in which it happened; "" when that is not known.
        stage_seconds: what the stages took until then.
    """

    at_unix_seconds: float
    error: str
    failed_stage: str
    stage_seconds: Mapping[str, float]


class ImageUnpacked(msgspec.Struct, frozen=True):
    """An image became a template of the store.

    Attributes:
        reference: of the image.
        chain_id: of the template.
        entries: of its layers, whiteouts among them.
        seconds: that it took.
        replaced: what could not be made as it is in the image, with its count: `device` (an empty file instead),
            `owner` (another one instead), `attribute` (left out).
    """

    at_unix_seconds: float
    reference: str
    chain_id: str
    entries: int
    seconds: float
    replaced: Mapping[str, int] = {}


SandboxEvent = Subscribed | ProcessCreated | ProcessStarted | ProcessExited | OutOfMemory | AgentStopping | EventsMissed
"""What an agent tells."""

HostEvent = (
    PodPhaseChanged
    | ContainerPhaseChanged
    | ContainerReadinessChanged
    | ProbeFailed
    | ImageUnpacked
    | ContainerStarted
    | ContainerStartFailed
    | PodStarted
    | PodStartFailed
)
"""What the host sees by itself."""

Event = SandboxEvent | HostEvent
"""What a pod tells."""


class RuntimeEvent(msgspec.Struct, frozen=True):
    """An event, and the pod that it is of; "" for what concerns no pod."""

    pod_id: str
    event: Event


class EventBuffer:
    """Events on their way to one who listens, in order; beyond `capacity` the oldest are dropped, and counted."""

    def __init__(self, capacity: int = BUFFERED_EVENTS) -> None:
        self._capacity = capacity
        self._events: deque[Event] = deque()
        self._missed = 0

    def put(self, event: Event) -> None:
        """Add an event."""
        if len(self._events) >= self._capacity:
            dropped = self._events.popleft()
            self._missed += dropped.count if isinstance(dropped, EventsMissed) else 1
        self._events.append(event)

    def take(self) -> Event | None:
        """The next event; None when there is none. What was dropped is told first."""
        if self._missed:
            missed, self._missed = self._missed, 0
            return EventsMissed(self._events[0].at_unix_seconds, missed)
        return self._events.popleft() if self._events else None
