"""Pods that outlive the command that started them: what is told of them while they run and afterwards."""

from __future__ import annotations

import enum

import msgspec
from msgspec.structs import replace

from .errors import ContainerAmbiguous, ContainerNotFound, InvalidId
from .ids import ContainerId, PodId
from .json_decoding import decoded_json
from .json_encoding import encoded_json
from .lifecycle import ContainerPhase
from .process import ExitStatus


class SupervisedPhase(enum.StrEnum):
    """Where a long-lived pod is in its life, as its supervisor last wrote it down."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    FAILED = "failed"
    """It did not come up, or its sandbox died."""
    ABANDONED = "abandoned"
    """Its supervisor was killed before it could end the pod."""

    @property
    def is_over(self) -> bool:
        """True when nothing of the pod runs any more."""
        return self in (SupervisedPhase.EXITED, SupervisedPhase.FAILED, SupervisedPhase.ABANDONED)


class ContainerSummary(msgspec.Struct, frozen=True):
    """What is told of one container.

    Attributes:
        id: unique in its pod.
        image: the reference that was asked for; "" for a root filesystem of another kind.
        command: as the spec has it; empty when the image decides.
        phase: where it is in its life.
        ready: whether it runs and its probes say that it is ready.
        restarts: how often the pod's policy has started it again.
        is_init: whether it runs to its end before the others start.
        is_sidecar: whether it goes on beside the others, as long as they do.
        has_stdin, has_terminal: what attaching to it offers.
        status: how it ended last; None while it runs for the first time.
    """

    id: ContainerId
    image: str = ""
    command: tuple[str, ...] = ()
    phase: ContainerPhase = ContainerPhase.PENDING
    ready: bool = False
    restarts: int = 0
    is_init: bool = False
    is_sidecar: bool = False
    has_stdin: bool = False
    has_terminal: bool = False
    status: ExitStatus | None = None


class PodRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor writes down of its pod; moments are seconds since 1970, 0 before they have come.

    Attributes:
        id: the pod's.
        phase: where it is in its life.
        source: what it was made from: an image's reference, or the path of a manifest.
        containers: init containers first.
        created, started, ended: when the supervisor began, when all containers ran, when nothing was left.
        supervisor_pid: the process that runs it, in the pid namespace of who started it.
        sandbox_id: names its sandbox on this host; "" before there is one.
        ports: of the host, and those of the pod that they lead to, as `127.0.0.1:8080->80`.
        restart_policy: what becomes of containers that end.
        is_removed_at_end: whether record and logs go once the pod has ended.
        problem: why it failed, in a sentence.
    """

    id: PodId
    phase: SupervisedPhase = SupervisedPhase.STARTING
    source: str = ""
    containers: tuple[ContainerSummary, ...] = ()
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    supervisor_pid: int = 0
    sandbox_id: str = ""
    ports: tuple[str, ...] = ()
    restart_policy: str = "never"
    is_removed_at_end: bool = False
    problem: str = ""

    @property
    def _main_containers(self) -> list[ContainerSummary]:
        """Those that the pod is there for."""
        return [one for one in self.containers if not (one.is_init or one.is_sidecar)]

    @property
    def exit_code(self) -> int:
        """Of the first container that did not end with 0, as of `firkin pod run`; 125 when the pod failed."""
        codes = [one.status.code for one in self._main_containers if one.status is not None]
        if self.phase in (SupervisedPhase.FAILED, SupervisedPhase.ABANDONED):
            return next((code for code in codes if code), 125)
        return next((code for code in codes if code), 0)

    def container(self, name: str | None) -> ContainerSummary:
        """The container of this name; without one, the only one that is neither an init container nor a sidecar.

        Raises:
            ContainerNotFound: there is none of this name.
            ContainerAmbiguous: no name was given, and there are several, or none.
        """
        if name is not None:
            for one in self.containers:
                if one.id == name:
                    return one
            raise ContainerNotFound(self.id, name)
        main = self._main_containers
        if len(main) != 1:
            raise ContainerAmbiguous(self.id, tuple(one.id for one in self.containers if not one.is_init))
        return main[0]

    def abandoned(self, now: float) -> PodRecord:
        """The record of a pod whose supervisor is gone, and with it everything that ran."""
        problem = self.problem or "its supervisor was killed"
        return replace(self, phase=SupervisedPhase.ABANDONED, ended=self.ended or now, problem=problem)

    def to_json(self) -> bytes:
        """The record as JSON, one field a line."""
        return msgspec.json.format(encoded_json(self), indent=2)

    @classmethod
    def from_json(cls, text: bytes) -> PodRecord | None:
        """The record of such JSON; None when it is none."""
        try:
            return decoded_json(text, cls, _id)
        except (msgspec.MsgspecError, InvalidId):
            return None


def _id(kind: type, value: object) -> object:
    if kind is PodId:
        return PodId(str(value))
    if kind is ContainerId:
        return ContainerId(str(value))
    raise NotImplementedError(f"{kind} is not part of a record")
