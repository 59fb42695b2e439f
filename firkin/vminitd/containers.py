"""The containers of the sandbox: one table, each entry from its creation to its removal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from firkin.domain.errors import AgentError, ContainerExists, ContainerNotFound, ContainerNotRunning
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, ProcessId
from firkin.domain.process import ProcessRef
from firkin.domain.surroundings import ContainerFile

from .bundles import Bundle, write_bundle
from .control_group_end import kill_control_group
from .control_groups import are_writable
from .events import EventHub
from .executables import check_executable
from .filesystem.files import make_directory, read_beneath, write_file
from .filesystem.limited_layers import LayerLimit
from .filesystem.overlays import prepare_overlay, remove_overlay
from .filesystem.volume_parts import VolumePart, mount_volume_part
from .host_streams import HostStreams
from .oom import OomCounter
from .process_stdio import ProcessStdio, StdioRequest
from .processes import GuestProcess, not_startable
from .processes_by_root import kill_processes_of_root
from .runtime import Launched, OciRuntime
from .runtime_config import CompletedConfig, completed_config, completed_process
from .workers import Workers

_KILL_SECONDS = 10.0
_LAST_OUTPUT_SECONDS = 1.0


class OverlayRequest(msgspec.Struct, frozen=True):
    """An overlay to be prepared: `base` holds upper, work and merged; `lower` is the template's rootfs."""

    base: GuestPath
    lower: GuestPath
    limit: LayerLimit | None = None


class ContainerRequest(msgspec.Struct, frozen=True):
    """A container to be created."""

    container_id: ContainerId
    spec: bytes
    stdio: StdioRequest = StdioRequest()
    overlay: OverlayRequest | None = None
    runtime_path: str = ""
    files: tuple[ContainerFile, ...] = ()
    volume_parts: tuple[VolumePart, ...] = ()


class Container:
    """A container that was created."""

    def __init__(self, bundle: Bundle, runtime: OciRuntime, oom: OomCounter, init: GuestProcess) -> None:
        self.bundle = bundle
        self.runtime = runtime
        self.oom = oom
        self.init = init
        self.processes: dict[str, GuestProcess] = {bundle.container_id: init}


class _Entry:
    """A place in the table: taken before the first step, so that two requests never make the same container."""

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
        self.container: Container | None = None


class Containers:
    """Creates, starts, finds and removes containers; different ones never wait for each other."""

    def __init__(
        self,
        host: HostStreams,
        runtime: Callable[[str], OciRuntime],
        workers: Workers,
        bundle_directory: str,
        events: EventHub,
    ) -> None:
        self._host = host
        self._events = events
        self._runtime = runtime
        self._workers = workers
        self._bundle_directory = bundle_directory
        self._table: dict[str, _Entry] = {}
        self.pod_id = ""

    def __contains__(self, container_id: str) -> bool:
        return container_id in self._table

    def init_of(self, container_id: str) -> GuestProcess:
        """The first process of a container, running or not.

        Raises:
            ContainerNotFound, ContainerNotRunning: there is no such container, or it is being created.
        """
        return self._container(container_id).init

    def root_of(self, container_id: str) -> str:
        """Where the root filesystem of a container lies.

        Raises:
            ContainerNotFound, ContainerNotRunning: there is no such container, or it is being created.
        """
        return self._container(container_id).bundle.config.root

    def cgroups_paths(self, container_ids: Iterable[str] = ()) -> dict[str, str]:
        """The control groups of these containers (of all, when none is named) by id; unknown ones are left out."""
        wanted = dict.fromkeys(container_ids) or self._table
        containers = ((name, self._table[name].container) for name in wanted if name in self._table)
        return {name: one.bundle.config.cgroups_path for name, one in containers if one is not None}

    def process_places(self, container_ids: Iterable[str] = ()) -> list[tuple[str, str, str]]:
        """Where the processes of these containers are found: id, control group and root filesystem."""
        return [(name, path, self.root_of(name)) for name, path in self.cgroups_paths(container_ids).items()]

    def init_at(self, root: str) -> GuestProcess | None:
        """The first process of the container whose root filesystem lies at `root`; None when none does."""
        containers = (entry.container for entry in self._table.values())
        return next((one.init for one in containers if one is not None and one.bundle.config.root == root), None)

    async def create(self, request: ContainerRequest) -> None:
        """Connect the streams, prepare the overlay and write the bundle.

        A creation that fails, or is cancelled, leaves nothing but the overlay, which `remove` takes away.

        Raises:
            ContainerExists: there is such a container.
            PathRefused: a part of a volume leads out of it.
            InvalidArgument, UserUnknown, UnsupportedFeature, AgentError, StoreFull: it cannot be created.
        """
        if request.container_id in self._table:
            raise ContainerExists(self.pod_id, request.container_id)
        entry = self._table[request.container_id] = _Entry()
        async with entry.changing:
            try:
                entry.container = await self._created(request)
            except BaseException:
                del self._table[request.container_id]
                raise

    async def start(self, container_id: ContainerId) -> Launched:
        """Start the init of a created container; one that does not start is gone.

        Raises:
            ContainerNotFound: there is no such container.
            ContainerNotRunning: it was started before.
            CommandNotFound, CommandNotExecutable, RuntimeFailed, MissingTool, StoreFull: it cannot start.
        """
        entry = self._entry(container_id)
        async with entry.changing:
            container = self._container(container_id)
            if container.init.phase != "created":
                raise not_startable(container.init)
            try:
                launched = await container.runtime.run(container.bundle, container.init.stdio.child_ends)
                container.init.started(launched)
                if container.bundle.config.shares_processes:
                    # The kernel ends all of a namespace with its first process; this one is not the first.
                    launched.child.ended.add_done_callback(partial(_on_init_end, container.bundle))
            except BaseException:
                container.init.forget()
                _kill_whatever_runs(container.bundle)
                await container.runtime.delete(container.bundle)
                container.bundle.remove()
                del self._table[container_id]
                raise
        return launched

    async def create_process(self, ref: ProcessRef, spec: bytes, stdio: StdioRequest) -> None:
        """Create an exec of a running container.

        Raises:
            ContainerNotFound, ContainerNotRunning: there is no such container, or it does not run.
            InvalidArgument, UserUnknown, UnsupportedFeature, AgentError: it cannot be created.
        """
        container = self._container(ref.container_id)
        ProcessId(ref.process_id)
        _require_place(container, ref)
        bundle = container.bundle
        config = await self._workers.run(_checked_process, spec, bundle)
        opened = await ProcessStdio.opened(self._host, stdio)
        try:
            # Another request may have come meanwhile, or the container's end.
            _require_place(container, ref)
            opened.lead_to_process(config.has_terminal)
            launch = bundle.write_process(ref.process_id, config)
        except BaseException:
            opened.close()
            raise
        container.processes[ref.process_id] = GuestProcess(ref, launch, opened, container.oom, self._events)

    async def start_process(self, ref: ProcessRef) -> Launched:
        """Start a created exec; one that does not start is gone.

        Raises:
            ContainerNotFound, ContainerNotRunning: there is no such process, or its container ended.
            CommandNotFound, CommandNotExecutable, RuntimeFailed, MissingTool, StoreFull: it cannot start.
        """
        container = self._container(ref.container_id)
        process = self.process(ref)
        async with process.changing:
            if process.phase != "created":
                raise not_startable(process)
            try:
                if container.init.phase != "running":
                    raise ContainerNotRunning(ref.container_id, container.init.phase)
                launched = await container.runtime.execute(container.bundle, process.launch, process.stdio.child_ends)
                process.started(launched)
            except BaseException:
                if process.phase == "running":
                    process.kill(signal.SIGKILL)
                self._forget_process(container, process)
                raise
        return launched

    def process(self, ref: ProcessRef) -> GuestProcess:
        """Find a process.

        Raises:
            ContainerNotFound: there is no such container.
            AgentError: the container has no such process.
        """
        try:
            return self._container(ref.container_id).processes[ref.process_id]
        except KeyError:
            reason = f"container {ref.container_id!r} has no process {ref.process_id!r}"
            raise AgentError("find process", reason, errno=errno.ESRCH) from None

    async def remove_process(self, ref: ProcessRef) -> None:
        """Forget a process, killing it if it runs; an unknown one is removed already.

        With an init its container goes; what it wrote to its overlay stays.

        Raises:
            AgentError: the container could not be removed.
        """
        if ref.is_init:
            problems = await self.remove(ContainerId(ref.container_id), None)
            if problems:
                raise AgentError("remove container", "; ".join(problems), errno=errno.EBUSY)
            return
        entry = self._table.get(ref.container_id)
        container = entry.container if entry is not None else None
        process = container.processes.get(ref.process_id) if container is not None else None
        if container is None or process is None:
            return
        async with process.changing:
            await process.kill_and_wait(_KILL_SECONDS)
            self._forget_process(container, process)

    async def remove(self, container_id: ContainerId, overlay_base: GuestPath | None) -> list[str]:
        """Kill whatever runs in a container and remove it with its overlay; an unknown one is removed already.

        Returns what could not be done, in sentences.
        """
        problems: list[str] = []
        entry = self._table.get(container_id)
        if entry is not None:
            async with entry.changing:
                if entry.container is not None and self._table.get(container_id) is entry:
                    problems += await self._removed(entry.container)
                    del self._table[container_id]
        if overlay_base is not None:
            problems += await self._workers.run(remove_overlay, overlay_base)
        return problems

    async def remove_all(self) -> list[str]:
        """Kill and remove every container, all at once; their overlays stay."""
        removals = [self.remove(ContainerId(container_id), None) for container_id in self._table]
        return [problem for problems in await asyncio.gather(*removals) for problem in problems]

    async def _created(self, request: ContainerRequest) -> Container:
        stdio = await ProcessStdio.opened(self._host, request.stdio)
        try:
            bundle = await self._workers.run(self._write_bundle, request)
            stdio.lead_to_process(bundle.config.has_terminal)
        except BaseException:
            stdio.close()
            raise
        ref = ProcessRef(request.container_id, request.container_id)
        oom = OomCounter(bundle.config.cgroups_path)
        init = GuestProcess(ref, bundle.launch, stdio, oom, self._events)
        return Container(bundle, self._runtime(request.runtime_path), oom, init)

    def _write_bundle(self, request: ContainerRequest) -> Bundle:
        if request.overlay is not None:
            prepare_overlay(request.overlay.base, request.overlay.lower, request.overlay.limit)
        for file in request.files:
            directory, name = os.path.split(file.path)
            make_directory(directory, parents=True, mode=0o755)
            write_file(directory, name, (file.data,), file.mode)
        for part in request.volume_parts:
            mount_volume_part(part)
        compile_seccomp = self._runtime(request.runtime_path).name == "crun"
        config = completed_config(request.spec, request.container_id, read_beneath, compile_seccomp=compile_seccomp)
        check_executable(config.root, config.command)
        return write_bundle(self._bundle_directory, request.container_id, config)

    async def _removed(self, container: Container) -> list[str]:
        problems: list[str] = []
        init = container.init
        if not await init.kill_and_wait(_KILL_SECONDS):
            problems.append(f"process {init.pid} of container {init.ref.container_id} did not end when it was killed")
        for process in container.processes.values():
            if process.phase == "running":
                process.kill(signal.SIGKILL)
        if init.phase == "ended" and init.pid:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTPUT_SECONDS):
                    await init.stdio.flush_output(until_end=True)
        problem = await container.runtime.delete(container.bundle)
        if problem is not None:
            problems.append(problem)
        for process in container.processes.values():
            process.forget()
        container.bundle.remove()
        return problems

    def _forget_process(self, container: Container, process: GuestProcess) -> None:
        process.forget()
        if container.processes.get(process.ref.process_id, process) is process:
            container.bundle.forget_process(process.launch)
            container.processes.pop(process.ref.process_id, None)

    def _entry(self, container_id: str) -> _Entry:
        try:
            return self._table[container_id]
        except KeyError:
            raise ContainerNotFound(self.pod_id, container_id) from None

    def _container(self, container_id: str) -> Container:
        container = self._entry(container_id).container
        if container is None:
            raise ContainerNotRunning(container_id, "being created", errno=errno.EBUSY)
        return container


def _require_place(container: Container, ref: ProcessRef) -> None:
    if container.init.phase != "running":
        raise ContainerNotRunning(ref.container_id, container.init.phase)
    if ref.process_id in container.processes:
        raise AgentError("create process", f"process id {ref.process_id!r} is in use", errno=errno.EEXIST)


def _on_init_end(bundle: Bundle, _: asyncio.Future[int]) -> None:
    _kill_processes_of(bundle)


def _kill_whatever_runs(bundle: Bundle) -> None:
    """Of a container that the runtime has begun with, however far it came: it may know nothing of it any more."""
    # Where the host puts several containers into one control group, that of others has another name.
    if os.path.basename(bundle.config.cgroups_path) == bundle.container_id:
        _kill_processes_of(bundle)


def _kill_processes_of(bundle: Bundle) -> None:
    if are_writable():
        kill_control_group(bundle.config.cgroups_path)
    else:
        kill_processes_of_root(bundle.config.root)


def _checked_process(spec: bytes, bundle: Bundle) -> CompletedConfig:
    config = completed_process(spec, bundle.config, read_beneath)
    check_executable(config.root, config.command)
    return config
