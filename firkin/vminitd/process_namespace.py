"""The process namespace that the containers of a pod share, when it asks for one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from errno import ETIMEDOUT
from io import FileIO
from pathlib import Path

from firkin.domain.errors import AgentError
from firkin.domain.layout import POD_PROCESS_NAMESPACE

from .error_numbers import told_number
from .filesystem import syscalls
from .filesystem.mounts import MNT_DETACH, MS_BIND
from .reaper import Child, ChildStdio, Reaper

_START_SECONDS = 30.0
_ANSWER_BYTES = 4096


class ProcessNamespace:
    """A namespace whose first process is `pause`; its name in the sandbox is a file that containers join it by."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._pause: Child | None = None
        self._lifeline = -1
        self._making = asyncio.Lock()

    async def make(self) -> None:
        """Make the namespace, unless it is there.

        Raises:
            AgentError: the kernel refuses.
        """
        async with self._making:
            if self._pause is not None and self._pause.is_running:
                return
            await self.close()
            reading, self._lifeline = os.pipe()
            try:
                self._pause = await self._started(reading)
                _show(self._pause.pid)
            except BaseException:
                # What has begun by then ends with its lifeline.
                await self.close()
                raise

    async def _started(self, lifeline_end: int) -> Child:
        answers, writing = os.pipe()
        with os.fdopen(answers, "rb", buffering=0) as answer, self._reaper.expecting_orphans():
            try:
                # As this module is: a source, or in a machine bytecode alone.
                program = [sys.executable, "-I", "-S", str(Path(__file__).with_stem("pause"))]
                child = self._reaper.spawn(program, ChildStdio(stdin=lifeline_end, stdout=writing, stderr=writing))
            finally:
                os.close(lifeline_end)
                os.close(writing)
            await child.wait_to_the_end(_START_SECONDS)
            said = (await _read_to_the_end(answer)).decode("utf-8", "replace")
            pid, _, rest = said.partition("\n")
            if rest != "ready\n":
                reason = (rest or said).strip().rpartition("\n")[2]
                number = told_number(reason)
                raise AgentError("make a process namespace", reason, path=POD_PROCESS_NAMESPACE, errno=number)
            return self._reaper.adopt(int(pid))

    async def close(self) -> None:
        """End the namespace, and every process in it; twice is fine."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self._pause is not None:
            self._pause.kill(signal.SIGKILL)
            await self._pause.wait()
            self._pause = None
            _hide()


async def _read_to_the_end(answer: FileIO) -> bytes:
    """What the namespace's processes say until the last of them says no more.

    Raises:
        AgentError: that takes too long.
    """
    said, readable = b"", asyncio.Event()
    os.set_blocking(answer.fileno(), False)
    loop = asyncio.get_running_loop()
    loop.add_reader(answer, readable.set)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                await readable.wait()
                readable.clear()
                piece = answer.read(_ANSWER_BYTES)
                if piece == b"":
                    return said
                said += piece or b""
    except TimeoutError:
        reason = f"its first process is not ready within {_START_SECONDS:g} s"
        raise AgentError("make a process namespace", reason, path=POD_PROCESS_NAMESPACE, errno=ETIMEDOUT) from None
    finally:
        loop.remove_reader(answer)


def _show(pid: int) -> None:
    _hide()
    os.makedirs(os.path.dirname(POD_PROCESS_NAMESPACE), mode=0o700, exist_ok=True)
    os.close(os.open(POD_PROCESS_NAMESPACE, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o600))
    syscalls.mount(f"/proc/{pid}/ns/pid", str(POD_PROCESS_NAMESPACE), None, MS_BIND, None)


def _hide() -> None:
    with contextlib.suppress(OSError):
        syscalls.unmount(str(POD_PROCESS_NAMESPACE), MNT_DETACH)
    with contextlib.suppress(OSError):
        os.unlink(POD_PROCESS_NAMESPACE)
