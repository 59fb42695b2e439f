"""What the services share: the containers, the host's streams, and threads for blocking work."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import time

from firkin.domain.events import AgentStopping

from .containers import Containers
from .control_groups import are_writable
from .events import EventHub
from .host_streams import HostStreams
from .process_namespace import ProcessNamespace
from .programs import Programs
from .proxies import Proxies
from .reaper import Reaper
from .runtime import OciRuntime
from .turns import Turns
from .workers import Workers

_FILESYSTEM_THREADS = 8
_TEMPLATE_THREADS = 4
_COPY_THREADS = 16


class GuestAgent:
    """The agent without its wire."""

    def __init__(
        self,
        host: HostStreams,
        host_directory: str,
        runtime: str,
        state_directory: str,
        bundle_directory: str,
        *,
        is_init: bool,
    ) -> None:
        self.is_init = is_init
        self.reaper = Reaper()
        self.programs = Programs(self.reaper)
        self.host = host
        self.proxies = Proxies(self.host)
        self.process_namespace = ProcessNamespace(self.reaper)
        self.workers = Workers("filesystem", _FILESYSTEM_THREADS)
        self.template_workers = Workers("template", _TEMPLATE_THREADS)
        self.copy_workers = Workers("copy", _COPY_THREADS)
        self.template_turns = Turns()
        self.events = EventHub()
        self.containers = Containers(self.host, self.runtime, self.workers, bundle_directory, self.events)
        self.boot_seconds = 0.0
        self._runtimes: dict[str, OciRuntime] = {}
        self._default_runtime = runtime
        self._state_directory = state_directory
        self._runtime_version: str | None = None

    def runtime(self, path: str = "") -> OciRuntime:
        """The OCI runtime at `path`, or the one that the agent was started with."""
        program = path or self._default_runtime
        if program not in self._runtimes:
            state_root = f"{self._state_directory}/{os.path.basename(program)}"
            self._runtimes[program] = OciRuntime(self.reaper, program, state_root, has_control_groups=are_writable())
        return self._runtimes[program]

    async def runtime_version(self) -> str:
        """Name and version of the OCI runtime, "" when it is not installed; asked once."""
        if self._runtime_version is None:
            self._runtime_version = await self.runtime().version()
        return self._runtime_version

    def is_listening(self) -> None:
        """Note how long the process took to get here."""
        self.boot_seconds = _process_age_seconds()

    async def close(self) -> None:
        """Remove every container and stop the threads."""
        self.events.publish(AgentStopping(time.time()))
        await self.containers.remove_all()
        await self.proxies.close()
        await self.process_namespace.close()
        self.workers.close()
        self.template_workers.close()
        self.copy_workers.close()

    def remove_state(self) -> None:
        """Remove what the agent keeps of containers, once they are gone."""
        shutil.rmtree(self._state_directory, ignore_errors=True)


def remove_control_groups() -> None:
    """Remove the empty control groups that containers' ones were in, in every hierarchy of either version."""
    for pattern in ("/sys/fs/cgroup/container", "/sys/fs/cgroup/*/container"):
        for path in glob.glob(pattern):
            # Another agent's containers may be in it; then it stays.
            with contextlib.suppress(OSError):
                os.rmdir(path)


def _process_age_seconds() -> float:
    with open("/proc/self/stat", "rb") as file:
        # proc_pid_stat(5): field 22, counted behind the parenthesised name.
        start_ticks = int(file.read().rpartition(b")")[2].split()[19])
    started = start_ticks / os.sysconf("SC_CLK_TCK")
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)
