"""A running QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from firkin.domain.errors import BootFailed
from firkin.host_side.console import Console
from firkin.host_side.stopped_processes import is_exiting, is_stopped

_KILL_SECONDS = 5.0
# Dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG), also when that was gone before it could ask.
_BOUND_TO_ITS_STARTER = '[ "$PPID" = "$1" ] && shift && exec "$@"'


class QemuProcess:
    """A started QEMU. `close` ends it, whatever its state, and must be called."""

    def __init__(
        self,
        command: Sequence[str],
        console: Console,
        search_path: str,
        setpriv: str,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start it, with the open files `inherited`; what it and its guest say goes to the console.

        Raises:
            BootFailed: it cannot be executed.
        """
        self._loop = asyncio.get_running_loop()
        self._console = console
        self._ended = asyncio.Event()
        bound = [setpriv, "--pdeathsig", "KILL", "sh", "-c", _BOUND_TO_ITS_STARTER, "sh", str(os.getpid()), *command]
        try:
            # No await from here to the reader: nothing can come between the process and its undo.
            self._process = subprocess.Popen(
                bound,
                stdin=subprocess.DEVNULL,
                stdout=console.writing,
                stderr=console.writing,
                env={"PATH": search_path, "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
                pass_fds=inherited,
            )
        except OSError as error:
            raise BootFailed("start QEMU", f"{error.filename}: {error.strerror}") from error
        finally:
            console.close_writing()
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._on_end)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._process.wait()
        self._console.drain()
        self._ended.set()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """As `Popen.returncode` tells it: negative for a signal, None while it runs."""
        return self._process.returncode

    @property
    def is_frozen(self) -> bool:
        """Whether somebody has stopped it (SIGSTOP, or a debugger)."""
        return is_stopped(self.pid)

    @property
    def is_exiting(self) -> bool:
        """Whether it has begun to exit, or has ended: what is left to do is the kernel's."""
        return self._ended.is_set() or is_exiting(self.pid)

    async def wait_ended(self) -> None:
        """Wait until it has ended."""
        await self._ended.wait()

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end, no longer than that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        # Both may have come while this process was not running.
        return self._ended.is_set()

    def kill(self) -> None:
        """Send SIGKILL, if it still runs."""
        if not self._ended.is_set():
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def close(self) -> None:
        """End it now and wait for that; bounded, and twice is fine."""
        if self._pidfd < 0:
            return
        self.kill()
        await self.ends_within(_KILL_SECONDS)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
