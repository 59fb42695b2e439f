"""What every byte stream promises, over pipes in memory and sockets."""

from __future__ import annotations

import socket

import pytest

from firkin.adapters.agent_grpc.byte_streams import SocketSink, SocketSource
from firkin.adapters.memory.pipes import MemoryPipe, PipeSink, PipeSource
from firkin.ports.streams import ByteSink, ByteSource
from firkin.testkit.stocked import StreamMaker


class _Pipes:
    def opened(self) -> tuple[ByteSink, ByteSource]:
        pipe = MemoryPipe()
        return PipeSink(pipe), PipeSource(pipe)


class _Sockets:
    def opened(self) -> tuple[ByteSink, ByteSource]:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        return SocketSink(near), SocketSource(far)


@pytest.fixture(params=[pytest.param("memory", marks=pytest.mark.virtual_time), "sockets"])
def firkin_streams(request: pytest.FixtureRequest) -> StreamMaker:
    return _Pipes() if request.param == "memory" else _Sockets()
