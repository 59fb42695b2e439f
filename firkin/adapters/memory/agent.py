"""A guest agent in memory."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from errno import EEXIST, ENOENT, ESRCH

import msgspec

from firkin.application.stages import Stages
from firkin.domain.digest import Digest
from firkin.domain.errors import (
    AgentError,
    CommandNotFound,
    ContainerNotFound,
    ContainerNotRunning,
    FirkinError,
    NoTerminal,
    Outcome,
    SandboxDied,
    StoreFull,
    UnsupportedFeature,
)
from firkin.domain.guest_path import GuestPath, checked_relative_path
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.image import ImageBundle
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.process import ExitStatus, ProcessRef, Stdio, StdioOptions
from firkin.domain.reports import AgentInfo, StoreUsage
from firkin.domain.terminal import TerminalSize
from firkin.ports.agent_containers import LAYER_LIMIT, ContainerLaunch, OverlayRequest
from firkin.ports.agent_network import PORT_CHECKS, PORT_FORWARDS
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_processes import ProcessLaunch, ProcessStreams, StartedProcess
from firkin.ports.agent_templates import ProgressCallback, TemplateProgress, TemplateResult

from .agent_events import MemoryAgentEvents
from .agent_files import MemoryAgentFiles
from .agent_network import MemoryAgentNetwork
from .agent_statistics import MemoryAgentStatistics
from .files import MemoryFiles
from .pipes import MemoryPipe, PipeSink, PipeSource
from .programs import MemoryProcess, Program
from .sandbox import MemorySandbox
from .world import MemoryStore, MemoryWorld

_BLOCK_BYTES = 4096
_TOTAL_BLOCKS = 1 << 20
_FEATURES = frozenset(
    {"copies", "disk-size-limits", "events", "process-list", "statistics", "store-usage", "terminals"}
)


class _Process(msgspec.Struct):
    args: tuple[str, ...]
    env: tuple[str, ...] = ()


class _RuntimeSpec(msgspec.Struct):
    process: _Process


class MemoryAgent(MemoryAgentFiles, MemoryAgentStatistics, MemoryAgentEvents, MemoryAgentNetwork):
    """Keeps the promises of ports.agent over tables in memory."""

    def __init__(self, sandbox: MemorySandbox, world: MemoryWorld, programs: Mapping[str, Program]) -> None:
        MemoryAgentFiles.__init__(self, sandbox.request.pod_id)
        MemoryAgentEvents.__init__(self)
        self._sandbox = sandbox
        self._faults = world.faults
        self._store: MemoryStore = world.store(sandbox.request.store.identity)
        self._programs = programs
        self._pids = itertools.count(2)
        self._overlays: set[ContainerId] = set()
        self._processes: dict[ProcessRef, MemoryProcess] = {}
        self._process_ids: dict[ProcessRef, int] = {}
        self._limits: dict[GuestPath, int] = {}
        self._building: dict[Digest, asyncio.Lock] = {}

    @contextlib.asynccontextmanager
    async def _call(self, operation: str) -> AsyncIterator[None]:
        self._require_life(Outcome.DID_NOT)
        await self._faults.reach(f"agent.{operation}")
        self._require_life(Outcome.DID_NOT)
        try:
            yield
        except FirkinError as error:
            # Whatever is refused here was not begun.
            error.outcome = error.outcome or Outcome.DID_NOT
            raise
        await self._faults.reach(f"agent.{operation}", after=True)
        self._require_life(Outcome.DID)

    def _require_life(self, outcome: Outcome) -> None:
        if self._sandbox.ended is not None:
            raise SandboxDied(self._sandbox.ended.reason).during("call guest agent", outcome=outcome)

    async def info(self) -> AgentInfo:
        """Who it is."""
        async with self._call("info"):
            return AgentInfo("memory", _FEATURES | {PORT_CHECKS, PORT_FORWARDS}, runtime="coroutines")

    async def prepare_pod(self, preparation: PodPreparation) -> None:
        """Make the pod's files, without any that an earlier pod left."""
        async with self._call("prepare_pod"):
            self._store.pods[preparation.pod_id] = {}
            self._limits = {
                preparation.layout.empty_dir(preparation.pod_id, volume.name): volume.size_limit
                for volume in preparation.volumes
                if volume.size_limit is not None
            }

    async def tear_down_pod(self, preparation: PodPreparation) -> Sequence[str]:
        """Remove the pod's files."""
        async with self._call("tear_down_pod"):
            self._store.pods.pop(preparation.pod_id, None)
        return ()

    async def write_file(self, directory: GuestPath, relative_path: str, data: bytes, mode: int = 0o644) -> None:
        """Keep the bytes of a file, within the size limit of its volume."""
        path = directory.below(checked_relative_path(relative_path))
        async with self._call("write_file"):
            used = sum(len(kept) for name, kept in self._files_below(directory).items() if name != path)
            if used + len(data) > self._limits.get(directory, used + len(data)):
                raise StoreFull(path)
            self._files()[path] = data

    def _files_below(self, directory: GuestPath) -> Mapping[str, bytes]:
        return {name: data for name, data in self._files().items() if name.startswith(f"{directory}/")}

    def _files(self) -> dict[str, bytes]:
        pod_id: PodId = self._sandbox.request.pod_id
        try:
            return self._store.pods[pod_id]
        except KeyError:
            raise AgentError("use the pod's files", "the pod was not prepared", path=pod_id, errno=ENOENT) from None

    def file(self, path: str) -> bytes:
        """The bytes of a file that was written, for tests."""
        return self._files()[path]

    async def usage(self, path: GuestPath) -> StoreUsage:
        """One block per file and template; a volume with a size limit has its own."""
        async with self._call("usage"):
            if (limit := self._limits.get(path)) is not None:
                total = -(-limit // _BLOCK_BYTES)
                used = sum(-(-len(data) // _BLOCK_BYTES) for data in self._files_below(path).values())
                return StoreUsage(_BLOCK_BYTES, total, total - used, total - used)
            used = sum(len(files) for files in self._store.pods.values()) + len(self._store.templates)
            free = _TOTAL_BLOCKS - used
            return StoreUsage(_BLOCK_BYTES, _TOTAL_BLOCKS, free, free)

    async def trim(self, path: GuestPath) -> int:
        """There is nothing to give back."""
        async with self._call("trim"):
            return 0

    async def ensure_template(
        self, bundle: ImageBundle, layout: StoreLayout, progress: ProgressCallback | None = None
    ) -> TemplateResult:
        """Remember the chain id, once all layers were passed over."""
        lock = self._building.setdefault(bundle.chain_id, asyncio.Lock())
        async with lock:
            if bundle.chain_id in self._store.templates:
                return TemplateResult(created=False)
            total = sum(layer.size_bytes for layer in bundle.layers)
            done = 0
            stages = Stages()
            for index, layer in enumerate(bundle.layers):
                # Memory has nothing to pull, to inflate or to hash.
                with stages.stage("write"):
                    async with self._call("apply_layer"):
                        done += layer.size_bytes
                if progress is not None:
                    progress(TemplateProgress(index, len(bundle.layers), done, total))
            with stages.stage("commit"):
                async with self._call("commit_template"):
                    self._store.templates.add(bundle.chain_id)
            stages.end()
            return TemplateResult(True, len(bundle.layers), stages.total_seconds, stages.seconds)

    async def prepare_overlay(self, request: OverlayRequest) -> None:
        """Remember the overlay."""
        async with self._call("prepare_overlay"):
            self._make_overlay(request)

    def _make_overlay(self, request: OverlayRequest) -> None:
        if request.limit_bytes is not None:
            raise UnsupportedFeature(LAYER_LIMIT, "a container in memory has no layer")
        known = {f"{StoreLayout().template_rootfs(chain_id)}" for chain_id in self._store.templates}
        if request.lower not in known:
            reason = "there is no such template"
            raise AgentError("mount pod container overlay rootfs", reason, path=request.lower, errno=ENOENT)
        if request.container_id in self._overlays:
            path = request.layout.merged
            raise AgentError("mount pod container overlay rootfs", "it exists", path=path, errno=EEXIST)
        self._overlays.add(request.container_id)
        self._container_files[request.container_id] = MemoryFiles()

    async def start_container(self, launch: ContainerLaunch) -> StartedProcess:
        """Run the container's command as a coroutine."""
        ref = ProcessRef(launch.container_id, launch.container_id)
        try:
            async with self._call("start_container"):
                if launch.overlay is not None:
                    self._make_overlay(launch.overlay)
                self._files().update({file.path: file.data for file in launch.files})
                return self._start(ref, launch.runtime_spec, launch.stdio, launch.terminal)
        except BaseException:
            self._end(ref)
            raise

    async def start_process(self, launch: ProcessLaunch) -> StartedProcess:
        """Run a further command as a coroutine."""
        init = self._processes.get(ProcessRef(launch.ref.container_id, launch.ref.container_id))
        if init is None or init.exit.done():
            raise ContainerNotRunning(launch.ref.container_id, "not running")
        try:
            async with self._call("start_process"):
                return self._start(launch.ref, launch.runtime_spec, launch.stdio, launch.terminal)
        except BaseException:
            self._end(launch.ref)
            raise

    def _start(
        self, ref: ProcessRef, runtime_spec: bytes, stdio: StdioOptions, terminal: TerminalSize | None
    ) -> StartedProcess:
        if ref in self._processes:
            raise AgentError("create process", "the process exists", path=ref.process_id, errno=EEXIST)
        wanted = msgspec.json.decode(runtime_spec, type=_RuntimeSpec).process
        program = self._programs.get(wanted.args[0].rpartition("/")[2])
        if program is None:
            raise CommandNotFound(wanted.args[0])
        env = dict(variable.split("=", 1) for variable in wanted.env)
        stdin, stdout, stderr = (
            MemoryPipe() if wish is Stdio.PIPED else None for wish in (stdio.stdin, stdio.stdout, stdio.stderr)
        )
        process = self._processes[ref] = MemoryProcess(wanted.args, env, stdin, stdout, stderr, terminal)
        process.follow(self._sandbox.tasks.start(process.run(program), f"process {ref.process_id}"))
        streams = ProcessStreams(
            None if stdin is None else PipeSink(stdin),
            None if stdout is None else PipeSource(stdout),
            None if stderr is None else PipeSource(stderr),
        )
        pid = self._process_ids[ref] = next(self._pids)
        self._tell_start(ref, process, pid)
        return StartedProcess(pid, streams)

    def _end(self, ref: ProcessRef) -> None:
        process = self._processes.pop(ref, None)
        self._process_ids.pop(ref, None)
        if process is not None:
            process.kill(9)

    async def wait_process(self, ref: ProcessRef) -> ExitStatus:
        """Wait for the end of a process, or of the sandbox."""
        async with self._call("wait_process"):
            process = self._processes.get(ref)
        if process is None:
            raise ContainerNotFound(self._pod_id, ref.container_id)
        # The end of a sandbox ends its processes, so one future tells of both.
        status = await asyncio.shield(process.exit)
        self._require_life(Outcome.MAY_HAVE)
        return status

    async def kill_process(self, ref: ProcessRef, signal: int) -> None:
        """Deliver a signal."""
        async with self._call("kill_process"):
            process = self._processes.get(ref)
            if process is not None:
                process.kill(signal)

    async def resize_process(self, ref: ProcessRef, columns: int, rows: int) -> None:
        """Tell the program."""
        size = TerminalSize(columns, rows)
        async with self._call("resize_process"):
            process = self._processes.get(ref)
            if process is None:
                raise AgentError("resize process", "there is no such process", path=ref.process_id, errno=ESRCH)
            if process.terminal is None:
                raise NoTerminal(ref.process_id)
            process.resize(size)

    async def remove_process(self, ref: ProcessRef) -> None:
        """Forget a process."""
        async with self._call("remove_process"):
            self._end(ref)

    async def remove_container(self, container_id: ContainerId, overlay: OverlayLayout | None) -> Sequence[str]:
        """Forget a container, its processes and its overlay."""
        async with self._call("remove_container"):
            for ref in [ref for ref in self._processes if ref.container_id == container_id]:
                self._end(ref)
            self._overlays.discard(container_id)
            self._container_files.pop(container_id, None)
        return ()
