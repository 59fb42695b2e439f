"""Synchronous runtimes in memory."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping

from firkin.adapters.memory import MemoryAgentConnector, MemoryPodStore, MemoryProcess, MemoryVmm, Program
from firkin.config import AnyImageSource, RuntimeConfig
from tests.unit.application.worlds import World


class SyncWorld(World):
    """A memory world, and the configuration of runtimes in it."""

    def __init__(self, programs: Mapping[str, Program] | None = None, *sources: AnyImageSource) -> None:
        super().__init__(programs)
        self.config = RuntimeConfig(
            vmm=MemoryVmm(self.memory),
            store=MemoryPodStore(self.memory),
            agents=MemoryAgentConnector(self.memory, programs),
            images=(self.images, *sources),
        )


def press_control_c() -> None:
    """What a terminal does, from whichever thread: the main thread gets the signal."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


async def interrupter(process: MemoryProcess) -> int:
    """A program that presses Ctrl-C on the host once it has read something, and then runs on."""
    assert process.stdin is not None
    await process.stdin.read()
    press_control_c()
    await process.stdin.read()
    return 0
