"""Boots namespace sandboxes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

from firkin.application.task_scope import TaskScope, finished
from firkin.domain.errors import BootFailed, MissingTool, PermissionMissing, UnsupportedFeature
from firkin.domain.id_map import IdMap
from firkin.domain.layout import POD_STORE_MOUNT
from firkin.domain.mounts import Mount
from firkin.domain.network import Network
from firkin.domain.reports import Capabilities
from firkin.domain.vm_config import VmConfig
from firkin.host_side.console import Console
from firkin.host_side.socket_directory import abandoned, socket_directory
from firkin.ports.sandbox import Sandbox
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest
from firkin.user_namespace import id_map_of_user, namespace_obstacle

from .cgroups import SandboxCgroups, group_name, remove_abandoned
from .hierarchies import hierarchies
from .host_paths import located
from .id_map_gate import IdMapGate
from .init_command import GUEST_STORE_MEDIUM, InitCommand, environment
from .loop_device import attached
from .process import SandboxProcess
from .promises import capabilities
from .sandbox import NamespaceSandbox
from .user_network import user_network

DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NamespaceVmm:
    """Keeps the port Vmm with unshare(1) and the host's own kernel.

    For root as it is; everybody else gets a user namespace for each sandbox, with the ids that subuid(5) grants.
    """

    def __init__(
        self,
        runtime_dir: Path,
        python: str = sys.executable,
        runtime: str = "crun",
        search_path: str = DEFAULT_SEARCH_PATH,
        allow_host_paths: Sequence[Path] = (),
    ) -> None:
        """Touch nothing yet.

        Args:
            runtime_dir: holds one short-lived directory of sockets per sandbox; at most about 75 bytes long.
            python: the interpreter that runs vminitd, with firkin's dependencies.
            runtime: the OCI runtime, by name or path.
            search_path: PATH of the sandbox, on which `unshare` and the runtime are looked up.
            allow_host_paths: what of the host pods may mount, with everything below.
        """
        self._runtime_dir = runtime_dir.absolute()
        self._python = python
        self._runtime = runtime
        self._search_path = search_path
        self._allow_host_paths = tuple(allow_host_paths)

    def capabilities(self) -> Capabilities:
        """What namespaces and control groups enforce on this machine."""
        return capabilities(self._search_path)

    @asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[Sandbox]:
        """Make the namespaces and start vminitd in them; it may need longer to answer.

        Raises:
            BootFailed: the namespaces could not be made.
            UnsupportedFeature: the config has settings of a kernel, or limits that no control group here enforces;
                the store is a filesystem's image, and the caller not root.
            MissingTool: unshare or the OCI runtime is not installed.
            HostPathRefused: a path of the host is not allowed, or is not what it is said to be.
            PermissionMissing: the caller is not root, and may make no user namespace, or not use these ids or files; or
                the device of user networks may not be opened.
        """
        _require_namespace_config(request.config)
        unshare = self._require_machine()
        host_paths = [located(volume, self._allow_host_paths) for volume in request.host_paths]
        id_map = None if os.geteuid() == 0 else id_map_of_user(self._search_path)
        if id_map is not None and not request.store.is_directory:
            reason = "only root can mount it; take a directory store (--store directory), or run as root"
            raise UnsupportedFeature(f"an {request.store.filesystem} store", reason)
        async with _undone_whole() as stack:
            self._tidy_up()
            directory = stack.enter_context(socket_directory(self._runtime_dir, request.pod_id))
            cgroups = SandboxCgroups(group_name(directory), hierarchies())
            stack.push_async_callback(cgroups.remove)
            cgroups.make()
            cgroups.limit(request.config)
            cgroups.limit_containers(request.limits)
            store_mount = stack.enter_context(_store_mount(request.store))
            console = Console(request.config.boot_log)
            stack.callback(console.close)

            def command(lifeline: int) -> list[str]:
                return InitCommand(
                    python=self._python,
                    unshare=unshare,
                    host_dir=directory,
                    host_name=request.host_name,
                    lifeline=lifeline,
                    join_files=cgroups.join_files,
                    init_join_files=cgroups.init_join_files,
                    store_directory=request.store.path if request.store.is_directory else None,
                    runtime=self._runtime,
                    host_paths=host_paths,
                    is_held=id_map is not None,
                ).arguments()

            gate = stack.enter_context(_gate(id_map, self._search_path))
            stdin = subprocess.DEVNULL if gate is None else gate.descriptor
            process = SandboxProcess(console, command, environment(self._search_path), stdin)
            stack.push_async_callback(process.close)
            await _came_up(process, console, gate, request.config.boot_timeout_seconds)
            if request.config.network is Network.USER:
                await stack.enter_async_context(user_network(self._search_path, process.init_pid, process.end_because))
            yield NamespaceSandbox(directory, store_mount, process, console, cgroups)

    def _require_machine(self) -> str:
        if shutil.which(self._runtime, path=self._search_path) is None:
            raise MissingTool(self._runtime, "running containers", "crun")
        unshare = shutil.which("unshare", path=self._search_path)
        if unshare is None:
            raise MissingTool("unshare", "making a namespace sandbox", "util-linux")
        return unshare

    def _tidy_up(self) -> None:
        """Remove what the sandboxes of crashed hosts left; those whose last processes still end are left for later."""
        with abandoned(self._runtime_dir) as directories:
            for directory in directories:
                if remove_abandoned(group_name(directory)):
                    shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def _undone_whole() -> AsyncIterator[AsyncExitStack]:
    """A stack whose unwinding no cancellation tears in half."""
    stack = AsyncExitStack()
    try:
        yield stack
    finally:
        await finished(TaskScope().start(stack.aclose(), "end the sandbox"))


def _require_namespace_config(config: VmConfig) -> None:
    for feature, asked in (
        ("vm_config.kernel", config.kernel),
        ("vm_config.command_line_extra", config.command_line_extra),
    ):
        if asked:
            raise UnsupportedFeature(feature, "a namespace sandbox shares the host's running kernel")


@contextmanager
def _store_mount(store: StoreMedium) -> Iterator[Mount]:
    """How the sandbox mounts the store.

    Neither nodev nor nosuid: the overlays of containers are built on it, and images bring device nodes and
    set-user-id programs. What a container may do with them, its own mounts and privileges decide.
    """
    if store.is_directory:
        yield Mount.bind(GUEST_STORE_MEDIUM, POD_STORE_MOUNT)
        return
    with attached(store.path) as device:
        # A sparse image reads as zeros already: the kernel shall not fill its inode tables in the background.
        lazy = ("noinit_itable",) if store.filesystem == "ext4" else ()
        quotas = ("prjquota",) if store.has_project_quotas else ()
        yield Mount(POD_STORE_MOUNT, store.filesystem, str(device), ("rw", "noatime", *lazy, *quotas))


@contextmanager
def _gate(id_map: IdMap | None, search_path: str) -> Iterator[IdMapGate | None]:
    if id_map is None:
        yield None
        return
    with closing(IdMapGate(id_map, search_path)) as gate:
        yield gate


async def _came_up(process: SandboxProcess, console: Console, gate: IdMapGate | None, timeout_seconds: float) -> None:
    try:
        async with asyncio.timeout(timeout_seconds):
            if gate is not None and not await gate.release(process.pid):
                await process.wait_ended()
                raise PermissionMissing(f"make a user namespace ({console.tail})", namespace_obstacle())
            if await process.wait_init():
                return
    except TimeoutError as error:
        raise BootFailed("make namespaces", f"no init after {timeout_seconds:g} s", console.tail) from error
    raise BootFailed("make namespaces", f"unshare {process.status}", console.tail)
