"""Child processes: starting them, and learning how each of them ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_NULL = "/dev/null"
_NO_STATUS_IS_KEPT_BEYOND = 1024
_CANCELLED_CHILD_SECONDS = 10.0
_GROUP_SECONDS = 10.0
_LOOK_SECONDS = 0.002


class ChildStdio(NamedTuple):
    """File descriptors for a child's standard streams; None is /dev/null."""

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None


class Child:
    """A process that is a child of the agent, started by it or inherited from a child that ended."""

    def __init__(self, pid: int, ended: asyncio.Future[int]) -> None:
        self.pid = pid
        self._ended = ended

    @property
    def ended(self) -> asyncio.Future[int]:
        """The wait status of waitpid(2), once the process was reaped. Never await it unshielded."""
        return self._ended

    @property
    def is_running(self) -> bool:
        """True until the process was reaped; so long its pid names no other process."""
        return not self._ended.done()

    async def wait(self) -> int:
        """Return the wait status; many may wait."""
        return await asyncio.shield(self._ended)

    async def wait_to_the_end(self, limit_seconds: float) -> int:
        """Return the wait status of a process that is not to outlive the call: past the limit it is killed.

        Of one that fails, or is killed, what it left in its process group has gone by then: helpers that nobody waits
        for would go on, while the caller undoes what they do.
        A cancellation passes only once the process has ended, or was killed 10 s later.
        """
        try:
            await asyncio.wait({self._ended}, timeout=limit_seconds)
        except asyncio.CancelledError:
            await asyncio.wait({self._ended}, timeout=_CANCELLED_CHILD_SECONDS)
            await self._end()
            raise
        return await self._end()

    async def _end(self) -> int:
        self.kill(signal.SIGKILL)
        status = await asyncio.shield(self._ended)
        if status != 0:
            await self._end_group()
        return status

    async def _end_group(self) -> None:
        deadline = time.monotonic() + _GROUP_SECONDS
        # No process gets the number of a group that has members: it is another one's at the earliest when this one is
        # empty, and when all other numbers were given out.
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, signal.SIGKILL)
                await asyncio.sleep(_LOOK_SECONDS)

    def kill(self, signal_number: int) -> None:
        """Send a signal, unless the process was reaped already."""
        if self.is_running:
            os.kill(self.pid, signal_number)


class Reaper:
    """The only caller of waitpid(2) in the agent.

    A process is registered in the same step of the event loop that starts it, and reaping is another step, so
    no end is missed. Orphans that nobody adopts are reaped and forgotten.
    """

    def __init__(self) -> None:
        self._children: dict[int, asyncio.Future[int]] = {}
        self._orphans: dict[int, int] = {}
        self._expecting = 0

    def install(self) -> None:
        """Reap on SIGCHLD in the running event loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)
        self.reap()

    def spawn(self, command: Sequence[str], stdio: ChildStdio, environment: Mapping[str, str] | None = None) -> Child:
        """Start a program, looked up on PATH, with default signal dispositions and no other descriptor.

        It leads a process group of its own.

        Raises:
            OSError: it cannot be executed.
        """
        actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
        for number, descriptor in enumerate(stdio):
            if descriptor is None:
                actions.append((os.POSIX_SPAWN_OPEN, number, _NULL, os.O_RDONLY if number == 0 else os.O_WRONLY, 0))
            else:
                actions.append((os.POSIX_SPAWN_DUP2, descriptor, number))
        pid = os.posix_spawnp(
            command[0],
            list(command),
            os.environ if environment is None else environment,
            file_actions=actions,
            setpgroup=0,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM),
        )
        self._orphans.pop(pid, None)
        return self._registered(pid)

    @contextlib.contextmanager
    def expecting_orphans(self) -> Iterator[None]:
        """Keep the statuses of unknown processes meanwhile, for `adopt`.

        A runtime detaches a container's process: it becomes the agent's child when the runtime ends, and may
        itself have ended before anybody could read its pid.
        """
        self._expecting += 1
        try:
            yield
        finally:
            self._expecting -= 1
            if not self._expecting:
                self._orphans.clear()

    def adopt(self, pid: int) -> Child:
        """Watch a process that became the agent's child; inside `expecting_orphans` it may have ended before."""
        status = self._orphans.pop(pid, None)
        child = self._registered(pid)
        if status is not None:
            self._children.pop(pid).set_result(status)
        return child

    def reap(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = self._children.pop(pid, None)
            if ended is not None:
                ended.set_result(status)
            elif self._expecting:
                self._orphans[pid] = status
                if len(self._orphans) > _NO_STATUS_IS_KEPT_BEYOND:
                    self._orphans.pop(next(iter(self._orphans)))

    def _registered(self, pid: int) -> Child:
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._children[pid] = ended
        return Child(pid, ended)
