"""A pod whose sandbox, agent and store exist: what the use cases work on."""

from __future__ import annotations

import asyncio

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.errors import FirkinError, Outcome, PodNotRunning, SandboxDied
from firkin.domain.ids import ContainerId
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.lifecycle import PodEvent, PodPhase, pod_lifecycle
from firkin.domain.pod_spec import PodSpec
from firkin.domain.process import Output
from firkin.domain.reports import AgentInfo, SandboxExit
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.agent import Agent
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_templates import ProgressCallback
from firkin.ports.log_keeper import LogKeeper
from firkin.ports.sandbox import Sandbox
from firkin.ports.spawn_observer import ContainerStart
from firkin.ports.store import StoreMedium, TemplateHolder

from .container_record import ContainerRecord, ContainerTable
from .pod_events import PodEvents
from .port_forwarding import PortForwards
from .task_scope import TaskScope
from .templates import Templates


class MountedPodStore(msgspec.Struct, frozen=True):
    """The store of a running pod: as it was asked for, what it lies on, and where it is in the sandbox."""

    spec: PodStoreSpec
    medium: StoreMedium
    layout: StoreLayout = StoreLayout()


class OpenPod:
    """Everything that the use cases of one pod share.

    Attributes:
        starts: of containers that were over before the pod ran.
        unremoved: containers whose removal failed, by id, with what has to be removed before the id is used again.
    """

    def __init__(
        self,
        spec: PodSpec,
        store: MountedPodStore,
        sandbox: Sandbox,
        agent: Agent,
        scope: TaskScope,
        templates: Templates,
        start_concurrency: int,
        logs: LogKeeper | None = None,
    ) -> None:
        self.spec = spec
        self.store = store
        self.sandbox = sandbox
        self.agent = agent
        self.agent_info = AgentInfo("")
        self.scope = scope
        self.events = PodEvents()
        self.port_forwards = PortForwards(spec.id, agent)
        self.lifecycle = pod_lifecycle(spec.id)
        self.lifecycle.observe(self.events.pod_phase)
        self.containers = ContainerTable(spec.id, self.events, logs)
        self.known_templates: set[Digest] = set()
        self.templates = templates
        self.template_holder: TemplateHolder | None = None
        self.start_gate = asyncio.Semaphore(start_concurrency)
        self.unremoved: dict[ContainerId, OverlayLayout | None] = {}
        self.starts: list[ContainerStart] = []
        self.init_outputs: dict[ContainerId, Output] = {}
        self.progress: ProgressCallback | None = None
        self.sandbox_end: SandboxExit | None = None
        self.hurry: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def host_name(self) -> str:
        """What the sandbox, and every container without a name of its own, has as host name."""
        return host_name(self.spec)

    @property
    def preparation(self) -> PodPreparation:
        """What the agent needs to know before the first container."""
        mount = self.sandbox.store_mount
        return PodPreparation(
            self.spec.id,
            mount,
            self.store.layout,
            self.spec.empty_dirs,
            self.spec.surroundings.network_sysctls,
            self.spec.shares_processes,
        )

    def require_usable(self) -> None:
        """Refuse what only a living pod can do.

        Raises:
            SandboxDied: the pod failed because its sandbox ended by itself.
            PodNotRunning: the pod is stopping, stopped or failed.
        """
        if self.lifecycle.phase is PodPhase.FAILED and self.sandbox_end is not None:
            end = self.sandbox_end
            died = SandboxDied(end.reason, end.console_tail, end.phase, end.exit_status)
            raise died.during("use pod", pod_id=self.spec.id, outcome=Outcome.DID_NOT)
        if self.lifecycle.phase not in (PodPhase.STARTING, PodPhase.RUNNING):
            raise PodNotRunning(self.spec.id, self.lifecycle.phase)

    async def hold_template(self, chain_id: Digest) -> None:
        """Keep a template from being removed as long as the pod runs; to be called before it is looked for."""
        if self.template_holder is not None:
            await self.template_holder.hold_template(self.store.medium, self.spec.id, chain_id)

    def container_started(self, record: ContainerRecord) -> None:
        """Tell that the command of a container runs, and what that took."""
        self._note_start(record)
        self.events.container_started(record.id, record.timing)

    def container_failed_to_start(self, record: ContainerRecord, error: FirkinError) -> None:
        """Tell that a container did not start, and how far that came; the error tells as well."""
        error.after(record.stages.seconds)
        self._note_start(record, error)
        self.events.container_start_failed(record.id, error)

    def _note_start(self, record: ContainerRecord, error: FirkinError | None = None) -> None:
        if self.lifecycle.phase is not PodPhase.STARTING:
            return
        is_init = record.id in [spec.id for spec in self.spec.init_containers]
        told = ("", "") if error is None else (error.code, error.failed_stage)
        seconds = record.stages.seconds if error is None else error.stage_seconds
        stage = "init containers" if is_init else "containers"
        self.starts.append(ContainerStart(record.id, record.began_unix_seconds, stage, dict(seconds), *told))

    def hurry_up(self) -> None:
        """End every grace period that is running in this pod."""
        if not self.hurry.done():
            self.hurry.set_result(None)

    def sandbox_died(self, end: SandboxExit) -> None:
        """Remember that the sandbox ended by itself, and how."""
        self.sandbox_end = end
        if self.lifecycle.can(PodEvent.SANDBOX_DIED):
            self.lifecycle.apply(PodEvent.SANDBOX_DIED)


def host_name(spec: PodSpec) -> str:
    """The host name of a pod: its own, or its id as far as a host name allows it."""
    return spec.host_name or spec.id.replace("_", "-").rstrip(".-")
