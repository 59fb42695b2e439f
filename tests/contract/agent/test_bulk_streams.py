"""Streams beside the calls: tokens, ports, listeners, back-pressure."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from grpc import StatusCode

from firkin.adapters.agent_grpc.bulk_listener import FIRST_PORT, PortAllocator
from firkin.adapters.agent_grpc.byte_streams import SocketSink, SocketSource
from firkin.domain.digest import Digest
from firkin.domain.errors import AgentError, BlobCorrupt, BlobMissing, DeadlineExceeded, LayerRefused
from firkin.domain.ids import ContainerId
from firkin.domain.image import ImageBundle, ImageConfig, LayerBlob, Platform, chained_layers
from firkin.domain.layout import StoreLayout
from firkin.ports.agent_containers import ContainerLaunch
from firkin.ports.agent_processes import StartedProcess
from firkin.ports.agent_templates import TemplateProgress
from firkin.testkit.launches import ALL_PIPED, OUTPUT_PIPED
from firkin.wire import agent_pb2 as wire
from tests.descriptors import open_descriptors, opened_since

from .scripted_agent import Connected, Context, aborted, scripted

pytestmark = pytest.mark.real_time

LAUNCH = ContainerLaunch(ContainerId("c"), b"{}", OUTPUT_PIPED)
PLAIN_TAR = "application/vnd.oci.image.layer.v1.tar"


def test_ports_count_from_the_first_and_the_lowest_free_one_is_used_again() -> None:
    ports = PortAllocator()
    taken = [ports.allocate() for _ in range(3)]
    assert taken == [FIRST_PORT, FIRST_PORT + 1, FIRST_PORT + 2]
    ports.release(taken[2])
    ports.release(taken[0])
    assert [ports.allocate() for _ in range(3)] == [FIRST_PORT, FIRST_PORT + 2, FIRST_PORT + 3]


async def test_each_stream_has_its_port_and_a_token_of_its_own(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        seen: list[wire.BulkStream] = []

        async def start(data: bytes, _: Context) -> wire.StartContainerResponse:
            stdio = wire.StartContainerRequest.FromString(data).stdio
            streams = [stdio.stdin, stdio.stdout, stdio.stderr]
            seen.extend(streams)
            for stream in streams:
                (await it.script.connect(stream)).close()
            return wire.StartContainerResponse(pid=7, runtime_usec=2500)

        it.script.on("StartContainer", start)
        for _ in range(2):
            started = await it.agent.start_container(ContainerLaunch(ContainerId("c"), b"{}", ALL_PIPED))
            assert (started.pid, started.runtime_seconds) == (7, 0.0025)
            await _closed(started)
        assert [stream.port for stream in seen] == [FIRST_PORT, FIRST_PORT + 1, FIRST_PORT + 2] * 2
        assert len({stream.token for stream in seen}) == 6
        assert {len(stream.token) for stream in seen} == {16}
        assert _listeners(tmp_path) == []


async def test_a_wrong_token_is_dropped_and_listening_goes_on(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:

        async def start(data: bytes, _: Context) -> wire.StartContainerResponse:
            stream = wire.StartContainerRequest.FromString(data).stdio.stdout
            loop = asyncio.get_running_loop()
            for token in (b"x" * 16, b"short", b""):
                with await it.script.connect(stream, token) as stranger:
                    if len(token) < 16:
                        stranger.shutdown(socket.SHUT_WR)
                    assert await loop.sock_recv(stranger, 1) == b""
            silent = await it.script.connect(stream, b"")
            with await it.script.connect(stream, stream.token + b"payload"):
                pass
            # The one that said nothing is let go of once the stream is there.
            assert await loop.sock_recv(silent, 1) == b""
            silent.close()
            return wire.StartContainerResponse(pid=1)

        it.script.on("StartContainer", start)
        started = await it.agent.start_container(LAUNCH)
        assert started.streams.stdout is not None
        assert await started.streams.stdout.read() == b"payload"
        assert await started.streams.stdout.read() == b""


async def test_a_token_may_come_in_pieces(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:

        async def start(data: bytes, _: Context) -> wire.StartContainerResponse:
            stream = wire.StartContainerRequest.FromString(data).stdio.stdout
            with await it.script.connect(stream, stream.token[:5]) as guest:
                await asyncio.sleep(0.02)
                await asyncio.get_running_loop().sock_sendall(guest, stream.token[5:] + b"rest")
            return wire.StartContainerResponse(pid=1)

        it.script.on("StartContainer", start)
        started = await it.agent.start_container(LAUNCH)
        assert started.streams.stdout is not None
        assert await started.streams.stdout.read() == b"rest"
        await _closed(started)


async def test_a_call_that_fails_leaves_no_listener(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        it.script.fail("StartContainer", StatusCode.NOT_FOUND, "no")
        with pytest.raises(AgentError):
            await it.agent.start_container(ContainerLaunch(ContainerId("c"), b"{}", ALL_PIPED))
        assert _listeners(tmp_path) == []


async def test_a_stream_that_was_opened_by_a_call_that_failed_is_closed(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        guests: list[socket.socket] = []

        async def start(data: bytes, context: Context) -> wire.StartContainerResponse:
            stream = wire.StartContainerRequest.FromString(data).stdio.stdout
            guests.append(await it.script.connect(stream))
            await asyncio.sleep(0.02)
            await aborted(context, StatusCode.NOT_FOUND, "no")
            return wire.StartContainerResponse()

        it.script.on("StartContainer", start)
        with pytest.raises(AgentError):
            await it.agent.start_container(LAUNCH)
        assert await asyncio.get_running_loop().sock_recv(guests[0], 1) == b""
        guests[0].close()


async def test_a_cancelled_start_leaves_no_listener_and_no_descriptor(tmp_path: Path) -> None:
    async with scripted(tmp_path, answers={"RemoveContainer": wire.RemoveContainerResponse()}) as it:
        before = open_descriptors()
        reached = it.script.hang("StartContainer")
        starting = asyncio.ensure_future(it.agent.start_container(ContainerLaunch(ContainerId("c"), b"{}", ALL_PIPED)))
        await reached.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert _listeners(tmp_path) == []
        assert not opened_since(before)


async def test_streams_that_their_user_forgot_are_closed_with_the_connection(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:
        guests: list[socket.socket] = []

        async def start(data: bytes, _: Context) -> wire.StartContainerResponse:
            guests.append(await it.script.connect(wire.StartContainerRequest.FromString(data).stdio.stdout))
            return wire.StartContainerResponse(pid=1)

        it.script.on("StartContainer", start)
        started = await it.agent.start_container(LAUNCH)
    assert started.streams.stdout is not None
    assert await started.streams.stdout.read() == b""
    assert guests[0].recv(1) == b""
    guests[0].close()


async def test_a_source_gives_every_byte_and_then_the_end() -> None:
    data = os.urandom(10 * 2**20)
    host, guest = _pair()
    source = SocketSource(host)

    async def write() -> None:
        await asyncio.get_running_loop().sock_sendall(guest, data)
        guest.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        digest = hashlib.sha256()
        while piece := await source.read():
            digest.update(piece)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert source.is_closed
    assert await source.read() == b""


async def test_a_writer_waits_for_a_slow_reader() -> None:
    host, guest = _pair()
    source = SocketSource(host)
    with guest:
        assert _filled(guest) <= 2**20  # what waits on the host is bounded
        assert len(await source.read(10)) == 10
        await source.aclose()
        await source.aclose()
        with pytest.raises(BrokenPipeError):
            guest.send(b"x")


async def test_a_sink_waits_for_a_slow_reader_and_hands_every_byte_on() -> None:
    data = os.urandom(10 * 2**20)
    host, guest = _pair()
    sink = SocketSink(host)

    async def write() -> None:
        await sink.write(data)
        await sink.aclose()
        await sink.aclose()

    with guest:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(write())
            await asyncio.sleep(0.02)
            assert not writing.done()
            received = bytearray()
            while piece := await asyncio.get_running_loop().sock_recv(guest, 1 << 20):
                received += piece
    assert received == data


async def test_writing_to_a_process_that_closed_its_input_is_a_broken_pipe() -> None:
    host, guest = _pair()
    sink = SocketSink(host)
    guest.close()
    with pytest.raises(BrokenPipeError):
        await sink.write(b"x")
    with pytest.raises(BrokenPipeError):
        await sink.write(b"x")
    await sink.aclose()


async def test_closing_wakes_who_reads() -> None:
    host, guest = _pair()
    source = SocketSource(host)
    with guest:
        reading = asyncio.ensure_future(source.read())
        await asyncio.sleep(0)
        await source.aclose()
        assert await reading == b""


async def test_a_second_reader_is_refused_and_a_cancelled_one_can_be_replaced() -> None:
    host, guest = _pair()
    source = SocketSource(host)
    with guest:
        reading = asyncio.ensure_future(source.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await source.read()
        reading.cancel()
        await asyncio.wait([reading])
        guest.send(b"x")
        assert await source.read() == b"x"
    await source.aclose()


async def test_layers_are_sent_whole_and_progress_is_told(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, [os.urandom(3 * 2**20), b"small", b""])
    received: list[bytes] = []
    told: list[TemplateProgress] = []
    async with scripted(tmp_path) as it:

        async def materialise(data: bytes, _: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            for index, layer in enumerate(wire.EnsureTemplateRequest.FromString(data).layers):
                received.append(await _read_stream(it, layer.stream))
                yield wire.EnsureTemplateResponse(layer_index=index, done_bytes=sum(map(len, received)))
            yield wire.EnsureTemplateResponse(complete=True, created=True, entries=12, done_bytes=3 * 2**20 + 5)

        it.script.on_stream("EnsureTemplate", materialise)
        result = await it.agent.ensure_template(bundle, StoreLayout(), told.append)
    assert (result.created, result.entries) == (True, 12)
    assert received == [layer.path.read_bytes() for layer in bundle.layers]
    assert [progress.done_bytes for progress in told] == [3 * 2**20, 3 * 2**20 + 5, 3 * 2**20 + 5, 3 * 2**20 + 5]
    assert {progress.total_bytes for progress in told} == {3 * 2**20 + 5}
    assert _listeners(tmp_path) == []


async def test_a_template_that_is_there_opens_no_stream(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, [b"x"])
    bundle.layers[0].path.unlink()  # not even looked at
    async with scripted(tmp_path) as it:

        async def there(_: bytes, __: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            yield wire.EnsureTemplateResponse(complete=True, created=False)

        it.script.on_stream("EnsureTemplate", there)
        assert not (await it.agent.ensure_template(bundle, StoreLayout())).created
    assert _listeners(tmp_path) == []


async def test_what_the_agent_says_wins_over_the_broken_pipe_it_left(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, [bytes(3 * 2**20)])
    async with scripted(tmp_path) as it:

        async def refuse(data: bytes, context: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            (await it.script.connect(wire.EnsureTemplateRequest.FromString(data).layers[0].stream)).close()
            await asyncio.sleep(0.05)
            detail = wire.ErrorDetail(code="layer-refused", reason="not a tar", values={"layer": "l", "entry": "e"})
            await aborted(context, StatusCode.DATA_LOSS, "refused", detail)
            yield wire.EnsureTemplateResponse()

        it.script.on_stream("EnsureTemplate", refuse)
        with pytest.raises(LayerRefused, match="not a tar"):
            await it.agent.ensure_template(bundle, StoreLayout())


@pytest.mark.parametrize(("damage", "kind"), [("vanished", BlobMissing), ("shrank", BlobCorrupt)])
async def test_a_layer_file_that_changed_on_the_host_is_an_error_not_a_hang(
    tmp_path: Path, damage: str, kind: type[Exception]
) -> None:
    bundle = _bundle(tmp_path, [bytes(2**20)])
    path = bundle.layers[0].path
    path.unlink() if damage == "vanished" else os.truncate(path, 1000)
    async with scripted(tmp_path) as it:

        async def materialise(data: bytes, context: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            await _read_stream(it, wire.EnsureTemplateRequest.FromString(data).layers[0].stream)
            detail = wire.ErrorDetail(code="layer-refused", reason="truncated")
            await aborted(context, StatusCode.DATA_LOSS, "truncated", detail)
            yield wire.EnsureTemplateResponse()

        it.script.on_stream("EnsureTemplate", materialise)
        with pytest.raises(kind):
            await it.agent.ensure_template(bundle, StoreLayout())


async def test_a_materialisation_that_stalls_is_given_up(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, [b"x"])
    async with scripted(tmp_path, stall_seconds=4, tells_state=True) as it:

        async def stall(_: bytes, __: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            for _step in range(3):
                # Longer than it may take in all, and far from it each: a busy machine makes steps longer.
                await asyncio.sleep(1.5)
                yield wire.EnsureTemplateResponse(done_bytes=1)
            await asyncio.Event().wait()

        it.script.on_stream("EnsureTemplate", stall)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded, match="its machine is paused"):
            await it.agent.ensure_template(bundle, StoreLayout())
        assert asyncio.get_running_loop().time() - begun > 8.4
    assert _listeners(tmp_path) == []


async def test_a_stream_that_ends_before_it_is_complete_is_an_error(tmp_path: Path) -> None:
    async with scripted(tmp_path) as it:

        async def breaks_off(_: bytes, __: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            yield wire.EnsureTemplateResponse(done_bytes=1)

        it.script.on_stream("EnsureTemplate", breaks_off)
        with pytest.raises(AgentError, match="before the template was complete"):
            await it.agent.ensure_template(_bundle(tmp_path, [b"x"]), StoreLayout())


async def _read_stream(it: Connected, stream: wire.BulkStream) -> bytes:
    received = bytearray()
    with await it.script.connect(stream) as guest:
        while piece := await asyncio.get_running_loop().sock_recv(guest, 1 << 20):
            received += piece
    return bytes(received)


def _filled(peer: socket.socket) -> int:
    """Send until the buffers are full; returns how much they took."""
    sent = 0
    while True:
        try:
            sent += peer.send(bytes(65536))
        except BlockingIOError:
            return sent


async def _closed(started: StartedProcess) -> None:
    streams = started.streams
    for end in (streams.stdin, streams.stdout, streams.stderr):
        if end is not None:
            await end.aclose()


def _listeners(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("host-*.sock")]


def _pair() -> tuple[socket.socket, socket.socket]:
    host, guest = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    host.setblocking(False)
    guest.setblocking(False)
    return host, guest


def _bundle(directory: Path, contents: list[bytes]) -> ImageBundle:
    blobs = []
    for index, content in enumerate(contents):
        path = directory / f"layer-{index}"
        path.write_bytes(content)
        blobs.append(LayerBlob(path, Digest.of(content), len(content), PLAIN_TAR))
    layers = chained_layers(tuple(blobs), tuple(blob.digest for blob in blobs))
    return ImageBundle("test:image", Digest.of(b"manifest"), Platform.current(), ImageConfig(), layers)
