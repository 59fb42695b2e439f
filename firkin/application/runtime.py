"""The entry to everything: spawns pods, and ends those that are left."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from firkin.domain.errors import PodExists, RuntimeClosed
from firkin.domain.ids import PodId
from firkin.domain.pod_spec import PodSpec, validate_pod
from firkin.domain.reports import Capabilities
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.agent_templates import ProgressCallback
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.spawn_observer import SpawnObserver
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

from .images import Images
from .opening import Opening
from .pod import Pod
from .pod_life import PodLife, PodPorts, StopRequest
from .runtime_events import RuntimeEvents, RuntimeEventStream
from .task_scope import TaskScope, finished
from .templates import Templates


class Runtime:
    """Spawns pods over the given adapters. Leaving its `async with` stops every pod that still runs."""

    def __init__(
        self,
        *,
        vmm: Vmm,
        store: PodStore,
        agents: AgentConnector,
        images: Images,
        start_concurrency: int = 8,
        observer: SpawnObserver | None = None,
        logs: LogKeeper | None = None,
    ) -> None:
        self.images = images
        self._vmm = vmm
        self._scope = TaskScope()
        self._events = RuntimeEvents()
        templates = Templates(self._scope)
        self._ports = PodPorts(vmm, store, agents, templates, start_concurrency, self._events, observer, logs)
        self._lives: dict[PodId, PodLife] = {}
        self._is_closed = False

    def capabilities(self) -> Capabilities:
        """What sandboxes enforce on this machine, and what they only try."""
        return self._vmm.capabilities()

    def spawn(self, spec: PodSpec, progress: ProgressCallback | None = None) -> Opening[Pod]:
        """Boot a sandbox and start the pod's containers: `await` it, or `async with` to have it stopped as well.

        `progress` is told how far templates are that must be made.

        Raises:
            InvalidPodSpec: with every problem there is; nothing was booted.
            RuntimeClosed: the runtime was left, so that nobody would stop the pod.
            PodExists, StoreError, BootFailed, ImageError, StartFailed, ...: nothing of the pod is left.
        """
        return Opening(lambda: self._spawned(spec, progress))

    async def _spawned(self, spec: PodSpec, progress: ProgressCallback | None) -> Pod:
        if self._is_closed:
            raise RuntimeClosed
        validate_pod(spec)
        self._lives = {pod_id: life for pod_id, life in self._lives.items() if not life.is_over}
        if spec.id in self._lives:
            raise PodExists(spec.id)
        life = self._lives[spec.id] = PodLife(spec, self._ports, self._scope, progress)
        return Pod(await life.opened(), life)

    def events(self) -> RuntimeEventStream:
        """What happens in all of its pods from now on: phases, starts, exits with code and signal, memory shortage.

        The stream is iterated over, and ends when the runtime is left. Pods that are spawned later are in it from their
        beginning.
        """
        return self._events.listen()

    async def __aenter__(self) -> Self:
        self._is_closed = False
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = True
        try:
            await self._ended(None if error is None else 0)
        finally:
            await finished(self._scope.start(self._scope.aclose(), "end of runtime"))
            self._events.close()

    async def _ended(self, grace_seconds: float | None) -> None:
        request = StopRequest(grace_seconds)
        lives = [life for life in self._lives.values() if not life.is_over]
        await asyncio.gather(*(life.closed(request) for life in lives), return_exceptions=True)
