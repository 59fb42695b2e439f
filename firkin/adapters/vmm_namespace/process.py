"""The process that holds a sandbox: unshare(1), with vminitd as its only child."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from firkin.domain.errors import BootFailed
from firkin.host_side.console import Console
from firkin.host_side.stopped_processes import is_stopped

_INIT_POLL_SECONDS = 0.001
_KILL_SECONDS = 5.0
_HOLDER_SECONDS = 2.0
# What unshare of util-linux 2.38 says, with exit status 1, when it wants to follow its child into death by SIGKILL.
_SAW_SIGKILL = "unshare: sigprocmask unblock failed: Invalid argument"


class SandboxProcess:
    """A started sandbox. `close` ends it, whatever its state, and must be called.

    Attributes:
        init_pid: of vminitd, by the host's numbers; 0 before `wait_init`.
        cause: why it was killed, when the host did so by itself; "" otherwise.
    """

    def __init__(
        self,
        console: Console,
        command: Callable[[int], list[str]],
        environment: dict[str, str],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start `command`, which is told the descriptor of the lifeline.

        Raises:
            BootFailed: it cannot be executed.
        """
        self._loop = asyncio.get_running_loop()
        self._console = console
        self._ended = asyncio.Event()
        self._init: int | None = None
        self.init_pid = 0
        self.cause = ""
        self._code: int | None = None
        self._lifeline: int | None
        lifeline, self._lifeline = os.pipe()
        try:
            # No await from here to the reader: nothing can come between the process and its undo.
            self._holder = subprocess.Popen(
                command(lifeline),
                stdin=stdin,
                stdout=console.writing,
                stderr=console.writing,
                env=environment,
                cwd="/",
                umask=0o022,
                pass_fds=(lifeline,),
                start_new_session=True,
            )
        except OSError as error:
            self._cut_lifeline()
            raise BootFailed("start the sandbox", f"{error.filename}: {error.strerror}") from error
        finally:
            os.close(lifeline)
            console.close_writing()
        self._holder_pidfd = os.pidfd_open(self._holder.pid)
        self._loop.add_reader(self._holder_pidfd, self._on_end)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._holder_pidfd)
        self._holder.wait()
        self._console.drain()
        self._code = self._holder.returncode
        if self._code == 1 and self._console.drop_last_line(_SAW_SIGKILL):
            self._code = -signal.SIGKILL
        self._ended.set()

    @property
    def pid(self) -> int:
        """Of the process that became unshare(1)."""
        return self._holder.pid

    @property
    def status(self) -> str:
        """How it ended, as the second half of a sentence."""
        if self._code is None:
            return "does not end"
        if self._code < 0:
            return f"was killed by {signal.Signals(-self._code).name}"
        return f"exited with status {self._code}"

    @property
    def was_killed(self) -> bool:
        """True when SIGKILL ended it."""
        return self._code == -signal.SIGKILL

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped vminitd."""
        return is_stopped(self.init_pid)

    async def wait_init(self) -> bool:
        """Wait until vminitd's process exists; False when the sandbox ended first."""
        while not self._ended.is_set():
            with contextlib.suppress(OSError, ValueError):
                (self.init_pid,) = _children(self._holder.pid)[:1]
                self._init = os.pidfd_open(self.init_pid)
                return True
            await asyncio.sleep(_INIT_POLL_SECONDS)
        return False

    async def wait_ended(self) -> None:
        """Wait until the sandbox has ended."""
        await self._ended.wait()

    async def stop(self, grace_seconds: float) -> None:
        """Cut the lifeline, which asks vminitd to end; kill it after the grace."""
        self._cut_lifeline()
        if not await self._ends_within(grace_seconds):
            await self._kill()

    def end_because(self, reason: str) -> None:
        """Kill it; the reason is the second half of a sentence."""
        self.cause = reason
        if self._init is not None and not self._ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)

    async def close(self) -> None:
        """End it now, with every process in it, and wait for that; bounded, and twice is fine."""
        self._cut_lifeline()
        await self._kill()
        if self._init is not None:
            # Whoever killed unshare alone left its child to the kernel. Once PID 1 is gone, all in its namespace are.
            await self._readable_within(self._init, _KILL_SECONDS)
            os.close(self._init)
            self._init = None
        if self._holder_pidfd >= 0:
            self._loop.remove_reader(self._holder_pidfd)
            os.close(self._holder_pidfd)
            self._holder_pidfd = -1

    async def _kill(self) -> None:
        """Kill PID 1, upon which the kernel ends its whole namespace and unshare reports; else unshare itself."""
        if self._ended.is_set():
            return
        if self._init is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init, signal.SIGKILL)
            if await self._ends_within(_HOLDER_SECONDS):
                return
        self._holder.kill()
        await self._ends_within(_KILL_SECONDS)

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    async def _readable_within(self, descriptor: int, seconds: float) -> None:
        readable = asyncio.Event()
        self._loop.add_reader(descriptor, readable.set)
        try:
            async with asyncio.timeout(seconds):
                await readable.wait()
        except TimeoutError:
            return
        finally:
            self._loop.remove_reader(descriptor)

    def _cut_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _children(pid: int) -> list[int]:
    """Children of a process with one thread (proc(5); needs CONFIG_PROC_CHILDREN, as distributions have it)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
