"""Layers whose files are handed over whole, to a sandbox that takes files."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from io import FileIO
from pathlib import Path

import pytest
from grpc import StatusCode

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, BlobMissing, LayerRefused
from firkin.domain.image import ImageBundle, ImageConfig, LayerBlob, Platform, chained_layers
from firkin.domain.layout import StoreLayout
from firkin.wire import agent_pb2 as wire

from .scripted_agent import Connected, Context, aborted, scripted

pytestmark = pytest.mark.real_time

CONTENT = bytes(range(256)) * 400


def image(directory: Path, content: bytes = CONTENT) -> ImageBundle:
    path = directory / "layer"
    path.write_bytes(content)
    blob = LayerBlob(path, Digest.of(content), len(content), "application/vnd.oci.image.layer.v1.tar")
    layers = chained_layers((blob,), (blob.digest,))
    return ImageBundle("test:image", Digest.of(b"manifest"), Platform.current(), ImageConfig(), layers)


async def taken_file(stream: socket.socket) -> FileIO:
    """The file that is handed to a stream with its one byte."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(stream, readable.set)
    try:
        await readable.wait()
        data, files, _, _ = socket.recv_fds(stream, 2, 1)
    finally:
        loop.remove_reader(stream)
    assert data == b"\0"
    assert await loop.sock_recv(stream, 1) == b""
    return FileIO(files[0])


def materialising(
    it: Connected, at_half: Callable[[], object], received: list[bytes], *, refused: bool = False
) -> Callable[[bytes, Context], AsyncIterator[wire.EnsureTemplateResponse]]:
    """An agent's answer; the test is the device that reads the file, and does something when half of it is read."""

    async def answer(data: bytes, context: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
        stream = wire.EnsureTemplateRequest.FromString(data).layers[0].stream
        with await it.script.connect(stream) as guest, await taken_file(guest) as file:
            half = file.read(len(CONTENT) // 2)
            at_half()
            received.append(half + file.read())
        if refused:
            detail = wire.ErrorDetail(code="layer-refused", reason="not a tar", values={"layer": "l", "entry": "e"})
            await aborted(context, StatusCode.DATA_LOSS, "refused", detail)
        yield wire.EnsureTemplateResponse(complete=True, created=True)

    return answer


async def test_the_file_of_a_layer_is_handed_over_and_read_by_whoever_carries_the_stream(tmp_path: Path) -> None:
    received: list[bytes] = []
    async with scripted(tmp_path, takes_files=True) as it:
        it.script.on_stream("EnsureTemplate", materialising(it, lambda: None, received))
        assert (await it.agent.ensure_template(image(tmp_path), StoreLayout())).created
    assert received == [CONTENT]


@pytest.mark.parametrize("size", [0, 60_000, len(CONTENT) + 1])
async def test_a_file_that_shrinks_or_grows_on_its_way_is_a_corrupt_blob(tmp_path: Path, size: int) -> None:
    bundle = image(tmp_path)
    async with scripted(tmp_path, takes_files=True) as it:
        answer = materialising(it, lambda: os.truncate(tmp_path / "layer", size), [], refused=True)
        it.script.on_stream("EnsureTemplate", answer)
        with pytest.raises(BlobCorrupt, match=f"{size} bytes instead of {len(CONTENT)}"):
            await it.agent.ensure_template(bundle, StoreLayout())


async def test_a_layer_that_the_agent_refuses_is_its_own_refusal(tmp_path: Path) -> None:
    async with scripted(tmp_path, takes_files=True) as it:
        it.script.on_stream("EnsureTemplate", materialising(it, lambda: None, [], refused=True))
        with pytest.raises(LayerRefused, match="not a tar"):
            await it.agent.ensure_template(image(tmp_path), StoreLayout())


@pytest.mark.parametrize(("damage", "kind"), [("vanished", BlobMissing), ("shrank", BlobCorrupt)])
async def test_a_file_that_was_damaged_before_is_not_handed_over(
    tmp_path: Path, damage: str, kind: type[Exception]
) -> None:
    bundle = image(tmp_path)
    path = tmp_path / "layer"
    path.unlink() if damage == "vanished" else os.truncate(path, 1000)
    async with scripted(tmp_path, takes_files=True) as it:

        async def answer(data: bytes, context: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            with await it.script.connect(wire.EnsureTemplateRequest.FromString(data).layers[0].stream) as guest:
                while await asyncio.get_running_loop().sock_recv(guest, 1 << 16):
                    pass
            await aborted(context, StatusCode.DATA_LOSS, "cut", wire.ErrorDetail(code="layer-refused", reason="cut"))
            yield wire.EnsureTemplateResponse()

        it.script.on_stream("EnsureTemplate", answer)
        with pytest.raises(kind):
            await it.agent.ensure_template(bundle, StoreLayout())


async def test_a_file_that_is_longer_than_its_layer_is_sent_as_far_as_the_layer_goes(tmp_path: Path) -> None:
    bundle = image(tmp_path)
    with (tmp_path / "layer").open("ab") as file:
        file.write(b"more")
    received = bytearray()
    async with scripted(tmp_path, takes_files=True) as it:

        async def answer(data: bytes, _: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            with await it.script.connect(wire.EnsureTemplateRequest.FromString(data).layers[0].stream) as guest:
                while piece := await asyncio.get_running_loop().sock_recv(guest, 1 << 16):
                    received.extend(piece)
            yield wire.EnsureTemplateResponse(complete=True, created=True)

        it.script.on_stream("EnsureTemplate", answer)
        await it.agent.ensure_template(bundle, StoreLayout())
    assert bytes(received) == CONTENT
