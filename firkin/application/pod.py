"""A running pod, for its user."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from firkin.domain.boot_timing import BootTiming
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import ContainerNotFound, ContainerNotPending, InvalidPodSpec, RemovalIncomplete
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.lifecycle import PodPhase
from firkin.domain.pod_spec import PodSpec
from firkin.domain.port_forwards import LOOPBACK, PortForward, port_forward_problems
from firkin.domain.process import ExitStatus, Output
from firkin.domain.reports import AgentInfo, StopReport, StoreUsage
from firkin.domain.statistics import ContainerStatistics, StoreBreakdown
from firkin.ports.sandbox import Sandbox, TimedBoot

from .container import Container
from .container_add import PendingContainerAdd, StartedContainerAdd, begin_container_add, committed
from .container_removal import removal
from .container_wait import DetachedContainer
from .empty_dir_write import PendingEmptyDirFileWrite, begin_empty_dir_file_write, empty_dir_usage
from .open_pod import MountedPodStore, OpenPod
from .opening import Opening
from .pod_events import EventStream
from .pod_life import PodLife, StopRequest
from .port_forwarding import ForwardedPort
from .running_process import DEFAULT_CAPTURE_BYTES
from .task_scope import joined


class Pod:
    """A pod that runs. `async with` stops it at the end; `stop` does so earlier, and tells how it went."""

    def __init__(self, opened: OpenPod, life: PodLife) -> None:
        self._pod = opened
        self._life = life

    @property
    def id(self) -> PodId:
        """Its id."""
        return self._pod.spec.id

    @property
    def spec(self) -> PodSpec:
        """What it was asked to be."""
        return self._pod.spec

    @property
    def store(self) -> MountedPodStore:
        """Its store, as mounted."""
        return self._pod.store

    @property
    def vm(self) -> Sandbox:
        """Its sandbox."""
        return self._pod.sandbox

    @property
    def agent_info(self) -> AgentInfo:
        """What its guest agent says of itself."""
        return self._pod.agent_info

    @property
    def state(self) -> PodPhase:
        """Where it is in its life."""
        return self._pod.lifecycle.phase

    @property
    def spawn_seconds(self) -> Mapping[str, float]:
        """What the stages of its spawning took, in their order: store, boot, agent, mount, volumes, containers.

        What each container's start took is in its `startup_timing`. A spawn that fails tells the same in the error's
        `stage_seconds`.
        """
        return self._life.stage_seconds

    @property
    def boot_timing(self) -> BootTiming | None:
        """Where the time of the sandbox's own boot went, by phases; None for sandboxes that keep no account of it."""
        return self.vm.boot_timing if isinstance(self.vm, TimedBoot) else None

    @property
    def init_outputs(self) -> Mapping[ContainerId, Output]:
        """How each init container ended, and what it wrote to its piped streams, up to 1 MiB of each."""
        return dict(self._pod.init_outputs)

    def containers(self) -> tuple[Container, ...]:
        """Its containers, in the order in which they were added; those being added are not among them."""
        return tuple(Container(self._pod, record) for record in self._pod.containers if record.is_committed)

    def contains_container(self, container_id: str) -> bool:
        """True when it has this container, running or ended.

        Raises:
            InvalidId: the id breaks the rule of ids.
        """
        record = self._pod.containers.find(container_id)
        return record is not None and record.is_committed

    def container(self, container_id: str) -> Container:
        """Its container of this id.

        Raises:
            ContainerNotFound: there is none.
        """
        return Container(self._pod, self._pod.containers.committed(container_id))

    def begin_container_add(self, spec: PodContainerSpec) -> Opening[PendingContainerAdd]:
        """Reserve the id and make sure that the image's template exists: `await` it, or `async with`.

        Raises:
            InvalidPodSpec, ContainerExists, PodNotRunning, ImageError, StoreError: nothing is left of the add.
        """
        return Opening(lambda: begin_container_add(self._pod, spec))

    def commit_container_add(self, started: StartedContainerAdd) -> asyncio.Future[Container]:
        """Take a started container into the pod, at once; awaiting the result gives its handle.

        Raises:
            ContainerNotPending: the add was aborted or committed before, or is another pod's.
        """
        container = Container(self._pod, committed(self._pod, started))
        handle: asyncio.Future[Container] = asyncio.get_running_loop().create_future()
        handle.set_result(container)
        return handle

    def abort_container_add(self, container_id: str) -> asyncio.Future[None]:
        """Undo an add that is under way; awaiting the result waits until its id is free again.

        An unknown id is aborted already.

        Raises:
            ContainerNotPending: the container's add is over: remove it instead.
        """
        record = self._pod.containers.find(container_id)
        if record is not None and record.is_add_over:
            raise ContainerNotPending(self.id, record.id)
        aborted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if record is None:
            aborted.set_result(None)
        else:
            going = removal(self._pod, record, grace_seconds=0)
            going.add_done_callback(lambda _: None if aborted.done() else aborted.set_result(None))
        return aborted

    async def add_container(self, spec: PodContainerSpec) -> Container:
        """Add a container and start it; a failed or cancelled add leaves nothing.

        Raises:
            InvalidPodSpec, ContainerExists, PodNotRunning: it cannot be added.
            ImageError, StoreError: its template cannot be made.
            StartFailed: and its subclasses: its command cannot run.
        """
        async with self.begin_container_add(spec) as pending:
            started = await pending.start()
            return Container(self._pod, committed(self._pod, started))

    async def wait_container(self, container_id: str, limit_bytes: int = DEFAULT_CAPTURE_BYTES) -> Output:
        """Wait for a container's end and collect what its piped streams still hold; it stays in the pod.

        Raises:
            ContainerNotFound: there is none of this id.
            OutputLimitExceeded: a stream had more than `limit_bytes`.
            SandboxDied: the sandbox ended first.
        """
        return await self.container(container_id).wait_with_output(limit_bytes)

    def detach_container_for_wait(self, container_id: str) -> DetachedContainer:
        """A wait that needs the pod no more, to hand to another task; the container stays in the pod.

        Raises:
            ContainerNotFound: there is none of this id.
        """
        record = self._pod.containers.committed(container_id)
        if record.process is None:
            raise ContainerNotFound(self.id, container_id)
        return DetachedContainer(record.id, record.process)

    async def restart_container(self, container_id: str) -> None:
        """Run a container's command again, after it has ended, on the files that it left."""
        await self.container(container_id).restart()

    async def remove_container(self, container_id: str, grace_seconds: float | None = None) -> ExitStatus:
        """Stop a container, within its grace, and remove it with its files.

        Cancelling this call leaves the removal going on; whoever calls again joins it.

        Raises:
            ContainerNotFound: there is none of this id.
            FirkinError: the container is out of the pod, but how it ended could not be learned.
        """
        record = self._pod.containers.committed(container_id)
        grace = record.spec.grace_seconds if grace_seconds is None else grace_seconds
        report = await joined(removal(self._pod, record, grace))
        if report.status is None:
            reasons = "; ".join(report.problems) or "it never ran"
            raise RemovalIncomplete(record.id, reasons).during("remove pod container", pod_id=self.id)
        return report.status

    def begin_empty_dir_file_write(self, volume: str, relative_path: str) -> PendingEmptyDirFileWrite:
        """Check a write into an emptyDir without doing it.

        Raises:
            InvalidId, InvalidRelativePath, VolumeNotFound, PodNotRunning: it cannot be done.
        """
        return begin_empty_dir_file_write(self._pod, volume, relative_path)

    async def write_empty_dir_file(self, volume: str, relative_path: str, data: bytes) -> GuestPath:
        """Write a file into an emptyDir, in one step, and return where it is in the sandbox.

        Raises:
            InvalidId, InvalidRelativePath, VolumeNotFound, PodNotRunning: it cannot be done.
            PathRefused: a symlink that a container planted is in the way.
            VolumeFull: the volume's size limit leaves no space.
            StoreFull: no space left.
        """
        return await self.begin_empty_dir_file_write(volume, relative_path).write(data)

    async def empty_dir_usage(self, volume: str) -> StoreUsage:
        """How full an emptyDir is; one on disk without a size limit has the store's space.

        Raises:
            InvalidId, VolumeNotFound, PodNotRunning: it cannot be told.
        """
        return await empty_dir_usage(self._pod, volume)

    def forward(self, container_port: int, host_port: int = 0, host_address: str = LOOPBACK) -> Opening[ForwardedPort]:
        """Let connections to a TCP port of the host go to a port that a container listens on.

        `await` it to have it as long as the pod runs, or `async with` to have it for a block. A `host_port` of 0 is
        any free one, which the result tells. `host_address` "0.0.0.0" or "::" is reachable from other machines.

        Raises:
            InvalidPodSpec: a port or the address is none.
            HostPortUnavailable: the host does not let it be listened on.
            PodNotRunning: the pod is stopping, stopped or failed.
            UnsupportedFeature: the guest agent cannot forward.
        """
        return Opening(lambda: self._forwarded(PortForward(container_port, host_port, host_address)))

    async def _forwarded(self, forward: PortForward) -> ForwardedPort:
        if problems := tuple(port_forward_problems((forward,), "portForwards")):
            raise InvalidPodSpec(self.id, problems)
        self._pod.require_usable()
        return await self._pod.port_forwards.opened(forward)

    def forwarded_ports(self) -> tuple[ForwardedPort, ...]:
        """The ports of the host that lead to the pod's now, those of its spec first."""
        return self._pod.port_forwards.open

    async def trim_store(self) -> int:
        """Give the store's unused blocks back to the host; returns the bytes that were trimmed."""
        self._pod.require_usable()
        return await self._pod.agent.trim(self.store.layout.mount)

    async def store_usage(self) -> StoreUsage:
        """How full the store's filesystem is."""
        self._pod.require_usable()
        return await self._pod.agent.usage(self.store.layout.mount)

    def events(self) -> EventStream:
        """What happens in it from now on: phases, starts, exits with code, signal and reason, memory shortage.

        The stream is iterated over, and ends with the pod. Entering it (`async with pod.events() as events`) waits
        until nothing that happens in the sandbox can be missed. A guest agent that tells no events leaves the phases.
        """
        return self._pod.events.listen(self._pod.agent, self._pod.scope)

    async def store_breakdown(self) -> StoreBreakdown:
        """What takes the store's space: templates, this pod's containers and its volumes apart.

        Every file is looked at, for 20 seconds at most: what was not reached is told by `is_complete`.

        Raises:
            UnsupportedFeature: the guest agent cannot tell.
        """
        self._pod.require_usable()
        return await self._pod.agent.store_breakdown(self.id, self.store.layout)

    async def stats(self) -> tuple[ContainerStatistics, ...]:
        """What its containers use, in the order in which they were added, in one call."""
        self._pod.require_usable()
        return tuple(await self._pod.agent.statistics([container.id for container in self.containers()]))

    async def store_used_bytes(self) -> int:
        """Bytes of the store's filesystem that are in use."""
        return (await self.store_usage()).used_bytes

    def template_cache_entries(self) -> int:
        """How many templates this pod's containers were made from so far."""
        return len(self._pod.known_templates)

    async def stop(self, grace_seconds: float | None = None) -> StopReport:
        """Stop all containers at once, each within its grace, and end the sandbox; twice is fine.

        Cancelling this call leaves the stop going on; whoever calls again joins it.
        """
        return await self._life.ended(StopRequest(grace_seconds))

    async def shutdown(self, grace_seconds: float | None = None) -> StopReport:
        """The same as `stop`."""
        return await self.stop(grace_seconds)

    async def shutdown_trimming_store(self, grace_seconds: float | None = None) -> StopReport:
        """Stop, and give the store's unused blocks back to the host before the sandbox ends."""
        return await self._life.ended(StopRequest(grace_seconds, trim=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._life.closed(StopRequest(grace_seconds=None if error is None else 0))

    def __repr__(self) -> str:
        return f"<Pod {self.id} {self.state}>"
