"""Errors of supervisors, on their way to commands."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import pytest
from grpc import GenericRpcHandler, HandlerCallDetails, RpcMethodHandler, unary_unary_rpc_method_handler

from firkin.adapters.supervisor_grpc.errors import answering, raising_again
from firkin.adapters.supervisor_grpc.messages import statistics_of
from firkin.domain.errors import BootFailed, FirkinError, InvalidArgument, SandboxDied
from firkin.domain.ids import PodId
from firkin.wire import supervisor_pb2 as wire

pytestmark = pytest.mark.real_time

# What of a kernel's console takes much room as JSON: control characters, and bytes that are no text.
_LINE = "[    1.234567] \x1b[31mCall Trace:\x00 <TASK> é \udcff\n"


class _Failing(GenericRpcHandler):
    """Fails every call."""

    def __init__(self, error: FirkinError) -> None:
        self._error = error

    def service(self, handler_call_details: HandlerCallDetails) -> RpcMethodHandler[bytes, bytes]:
        async def call(_: bytes, context: grpc.aio.ServicerContext[object, object]) -> bytes:
            async with answering(context):
                raise self._error
            return b""

        return unary_unary_rpc_method_handler(call)


async def _told(directory: Path, error: FirkinError) -> FirkinError:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Failing(error),))
    server.add_insecure_port(f"unix:{directory}/socket")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{directory}/socket") as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/any/Call")
            with pytest.raises(FirkinError) as raised, raising_again(PodId("pod-1")):
                await call(b"")
    finally:
        await server.stop(None)
    return raised.value


@pytest.mark.parametrize("size", [0, 100, 2_000, 5_000, 8_000, 16_384, 200_000])
async def test_an_error_arrives_however_long_the_console_was(tmp_path: Path, size: int) -> None:
    tail = (_LINE * (size // len(_LINE)) + "the last line") if size else ""
    told = await _told(tmp_path, SandboxDied("the guest's kernel panicked", tail, "running", 1))
    assert isinstance(told, SandboxDied)
    assert (told.reason, told.phase, told.exit_status) == ("the guest's kernel panicked", "running", 1)
    assert str(told).startswith("sandbox died: the guest's kernel panicked")
    if size:
        assert told.console_tail.endswith("the last line")
        assert str(told).endswith("the last line")


@pytest.mark.parametrize(
    "error",
    [
        SandboxDied("killed", "one\ntwo", "running", -9),
        BootFailed("start QEMU", "it exited with status 1", "one\ntwo", exit_status=1),
        BootFailed("connect to vminitd", "the sandbox ended: killed", "", "running", -9),
    ],
    ids=["died", "never came up", "ended before it answered"],
)
async def test_a_short_error_arrives_as_it_was(tmp_path: Path, error: SandboxDied | BootFailed) -> None:
    error = error.during("use pod", pod_id="pod-1")
    told = await _told(tmp_path, error)
    assert (str(told), told.args, vars(told)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("told", [b"", b"no JSON", b"{}", b'[{"container_id": 7}]', b"\xff", b"[" * 4000])
def test_statistics_that_cannot_be_read_are_told_as_those_of_another_version(told: bytes) -> None:
    with pytest.raises(InvalidArgument, match="another version"):
        statistics_of(wire.StatisticsResponse(containers=told))
