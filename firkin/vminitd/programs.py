"""Programs that the agent runs for itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from .reaper import ChildStdio, Reaper

_PROGRAM_SECONDS = 60.0
_OUTPUT_BYTES = 4096


class Programs:
    """Runs programs that end soon and say little: what they write has to fit in a pipe."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper

    async def run(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command to its end; returns its exit code (negative for a signal) and what it wrote.

        Raises:
            OSError: it cannot be executed.
        """
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as answer:
            try:
                environment = {**os.environ, "LANG": "C", "LC_ALL": "C"}
                child = self._reaper.spawn(command, ChildStdio(stdout=writing, stderr=writing), environment)
            finally:
                os.close(writing)
            status = await child.wait_to_the_end(_PROGRAM_SECONDS)
            os.set_blocking(reading, False)
            output = answer.read(_OUTPUT_BYTES) or b""
        return os.waitstatus_to_exitcode(status), output.decode("utf-8", "replace")

    def for_threads(self) -> Callable[[Sequence[str]], tuple[int, str]]:
        """`run` for the threads of the event loop that runs now; such a thread blocks meanwhile."""
        loop = asyncio.get_running_loop()
        return lambda command: asyncio.run_coroutine_threadsafe(self.run(command), loop).result()
