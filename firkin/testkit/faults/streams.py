"""The byte streams of a process, cut, slowed or stopped at an exact byte."""

from __future__ import annotations

import asyncio

from firkin.ports.streams import ByteSink, ByteSource

from .kinds import Fault, FaultKind
from .script import FaultScript


class FaultySource:
    """A source whose calls `stdout.read` and `stderr.read` obey a script.

    DELAY and FREEZE are slow; any other fault ends the stream there, as it does when a sandbox dies.
    """

    def __init__(self, source: ByteSource, script: FaultScript, name: str) -> None:
        self._source = source
        self._script = script
        self._name = name
        self._is_cut = False

    async def read(self, max_bytes: int = 65536) -> bytes:
        """Read on, as the rules have it."""
        if self._is_cut:
            return b""
        data = await self._source.read(max_bytes)
        fault = self._script.fault_of(f"{self._name}.read", len(data))
        if fault is None:
            return data
        if fault.kind in (FaultKind.DELAY, FaultKind.FREEZE):
            await asyncio.sleep(fault.seconds)
            return data
        self._is_cut = True
        await self._source.aclose()
        return b""

    async def aclose(self) -> None:
        """Stop reading."""
        await self._source.aclose()


class FaultySink:
    """A sink whose call `stdin.write` obeys a script: DELAY and FREEZE are slow, any other fault breaks the pipe."""

    def __init__(self, sink: ByteSink, script: FaultScript, name: str) -> None:
        self._sink = sink
        self._script = script
        self._name = name

    async def write(self, data: bytes) -> None:
        """Write on, as the rules have it."""
        fault: Fault | None = self._script.fault_of(f"{self._name}.write", len(data))
        if fault is not None and fault.kind in (FaultKind.DELAY, FaultKind.FREEZE):
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            await self._sink.aclose()
            raise BrokenPipeError(f"injected: {fault}")
        await self._sink.write(data)

    async def aclose(self) -> None:
        """End of input."""
        await self._sink.aclose()
