"""The OCI runtime: crun, or another that understands runc's command line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

import msgspec

from firkin.domain.errors import ContainerNotRunning, MissingTool, RuntimeFailed

from .bundles import Bundle, LaunchFiles
from .console_socket import console_socket
from .reaper import Child, ChildStdio, Reaper
from .runtime_errors import logged_error, start_error

_CONCURRENT_CALLS = 8
_CALL_SECONDS = 60.0


class Launched(msgspec.Struct, frozen=True):
    """A process that the runtime started, and what that took.

    Attributes:
        master: the descriptor of the process's terminal, when it has one; whoever gets it owns it.
    """

    child: Child
    runtime_seconds: float
    master: int | None = None


class OciRuntime:
    """Drives the runtime's command line; each call is one process."""

    def __init__(self, reaper: Reaper, program: str, state_root: str, *, has_control_groups: bool = True) -> None:
        self._reaper = reaper
        self._has_control_groups = has_control_groups
        self._program = program
        self._state_root = state_root
        self._turns = asyncio.Semaphore(_CONCURRENT_CALLS)

    @property
    def name(self) -> str:
        """The runtime's name, for messages."""
        return os.path.basename(self._program)

    async def version(self) -> str:
        """Name and version, "" when the runtime is not installed."""
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as answer:
            try:
                child = self._reaper.spawn([self._program, "--version"], ChildStdio(stdout=writing))
            except OSError:
                return ""
            finally:
                os.close(writing)
            await child.wait_to_the_end(_CALL_SECONDS)
            first_line = answer.read(4096).decode("utf-8", "replace").partition("\n")[0]
        return first_line.replace(" version ", " ", 1)

    async def run(self, bundle: Bundle, stdio: ChildStdio) -> Launched:
        """Create a container and start its init.

        Raises:
            CommandNotFound, CommandNotExecutable, RuntimeFailed, StoreFull: it did not start; `delete` what is left.
            MissingTool: the runtime is not installed.
        """
        command = ["run", "--detach", "--bundle", bundle.path, "--pid-file", bundle.launch.pid_file]
        return await self._launched(bundle, bundle.launch, [*command, bundle.container_id], stdio)

    async def execute(self, bundle: Bundle, launch: LaunchFiles, stdio: ChildStdio) -> Launched:
        """Start a further process in a running container.

        Raises:
            CommandNotFound, CommandNotExecutable, RuntimeFailed, StoreFull: it did not start.
            ContainerNotRunning: the container ended meanwhile.
            MissingTool: the runtime is not installed.
        """
        command = ["exec", "--detach", "--process", launch.config_file, "--pid-file", launch.pid_file]
        return await self._launched(bundle, launch, [*command, bundle.container_id], stdio)

    async def delete(self, bundle: Bundle) -> str | None:
        """Kill what runs in a container and forget it; returns what went wrong, or None.

        A container that the runtime does not know is deleted already.
        """
        log_file = f"{bundle.path}/delete.log"
        try:
            status = await self._call(log_file, ["delete", "--force", bundle.container_id], ChildStdio())
        except MissingTool as error:
            return str(error)
        if status == 0 or not self._knows(bundle.container_id):
            return None
        return f"{self.name} could not delete container {bundle.container_id}: {logged_error(read_log(log_file))}"

    def _knows(self, container_id: str) -> bool:
        return os.path.exists(f"{self._state_root}/{container_id}")

    async def _launched(
        self, bundle: Bundle, launch: LaunchFiles, arguments: Sequence[str], stdio: ChildStdio
    ) -> Launched:
        loop = asyncio.get_running_loop()
        async with self._turns:
            started = loop.time()
            with self._reaper.expecting_orphans(), contextlib.ExitStack() as listening:
                console = None
                if launch.console_socket:
                    console = listening.enter_context(console_socket(launch.console_socket))
                    arguments = [arguments[0], "--console-socket", launch.console_socket, *arguments[1:]]
                try:
                    status = await self._call(launch.log_file, arguments, stdio)
                except asyncio.CancelledError:
                    self._end_unwanted(launch)
                    raise
                if status != 0:
                    raise self._refusal(bundle, launch, status)
                child = self._reaper.adopt(_read_pid(launch.pid_file))
                try:
                    master = None if console is None else console.master()
                except RuntimeFailed:
                    child.kill(signal.SIGKILL)
                    raise
        return Launched(child, loop.time() - started, master)

    def _end_unwanted(self, launch: LaunchFiles) -> None:
        """The runtime goes on to its end when a start is called off: what it has started by then is killed."""
        with contextlib.suppress(RuntimeFailed, ProcessLookupError):
            self._reaper.adopt(_read_pid(launch.pid_file)).kill(signal.SIGKILL)

    async def _call(self, log_file: str, arguments: Sequence[str], stdio: ChildStdio) -> int:
        options = ["--root", self._state_root, "--log", log_file]
        if self.name == "crun" and not self._has_control_groups:
            options.append("--cgroup-manager=disabled")
        # crun seals itself into a temporary file, and leaves it when it is killed: then it goes with the bundle.
        environment = {**os.environ, "_LIBCONTAINER_STATEDIR": os.path.dirname(log_file)}
        try:
            child = self._reaper.spawn([self._program, *options, *arguments], stdio, environment)
        except (FileNotFoundError, PermissionError) as error:
            raise MissingTool(self._program, "running containers", self.name) from error
        return await child.wait_to_the_end(_CALL_SECONDS)

    def _refusal(self, bundle: Bundle, launch: LaunchFiles, status: int) -> Exception:
        message = logged_error(read_log(launch.log_file))
        if "container" in message and ("not running" in message or "does not exist" in message):
            return ContainerNotRunning(bundle.container_id, "ended")
        if not message:
            message = f"it ended with status {os.waitstatus_to_exitcode(status)} and gave no reason"
        return start_error(self.name, launch.command, message, bundle.config.root)


def read_log(path: str) -> bytes:
    """The last 64 KiB of a runtime's log; empty when it wrote none."""
    try:
        with open(path, "rb") as log:
            with contextlib.suppress(OSError):
                log.seek(-65536, os.SEEK_END)
            return log.read()
    except FileNotFoundError:
        return b""


def _read_pid(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError) as error:
        raise RuntimeFailed("the OCI runtime", f"it left no process id in {path}") from error
