"""Layers whose files are on disks that hang: only the call that needs them waits, and it can be given up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import BlobCorrupt, DeadlineExceeded
from firkin.domain.image import ImageBundle, ImageConfig, LayerBlob, Platform, chained_layers
from firkin.domain.layout import POD_STORE_MOUNT, StoreLayout
from firkin.wire import agent_pb2 as wire
from tests.descriptors import listed_descriptors
from tests.integration.vsock.slow_file import SlowFile

from .scripted_agent import Connected, Context, scripted

pytestmark = [pytest.mark.real_time, pytest.mark.needs_root]

LOOKS, LOOK_SECONDS = 6000, 0.01
CONTENT = bytes(range(256)) * 12_000


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowFile]:
    """A layer's file whose disk hangs."""
    with SlowFile(tmp_path, CONTENT) as file:
        file.hang()
        yield file


def image(*files: Path) -> ImageBundle:
    blobs = [
        LayerBlob(path, Digest.of(CONTENT), len(CONTENT), "application/vnd.oci.image.layer.v1.tar") for path in files
    ]
    layers = chained_layers(tuple(blobs), tuple(blob.digest for blob in blobs))
    return ImageBundle("test:image", Digest.of(b"manifest"), Platform.current(), ImageConfig(), layers)


def path_of(slow: SlowFile) -> Path:
    return Path(f"/proc/self/fd/{slow.file}")


def opened(slow: SlowFile) -> int:
    """How often the file is open: once by the test."""
    target = os.readlink(path_of(slow))
    return sum(each.partition(" -> ")[2] == target for each in listed_descriptors())


class Guest:
    """An agent that takes the layers of a template all at once."""

    def __init__(self, it: Connected, layers: int) -> None:
        self.received = [bytearray() for _ in range(layers)]
        self.ended = [asyncio.Event() for _ in range(layers)]
        self._it = it
        it.script.on_stream("EnsureTemplate", self._materialised)
        it.script.answer("Trim", wire.TrimResponse(trimmed_bytes=7))

    async def _materialised(self, data: bytes, _: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
        layers = wire.EnsureTemplateRequest.FromString(data).layers
        async with asyncio.TaskGroup() as group:
            for number, layer in enumerate(layers):
                group.create_task(self._taken(number, layer.stream))
        yield wire.EnsureTemplateResponse(complete=True, created=True)

    async def _taken(self, number: int, stream: wire.BulkStream) -> None:
        with await self._it.script.connect(stream) as connection, contextlib.suppress(ConnectionError):
            while piece := await asyncio.get_running_loop().sock_recv(connection, 1 << 16):
                self.received[number] += piece
            self.ended[number].set()


async def test_a_layer_whose_disk_hangs_holds_up_no_other_layer_and_no_other_call(
    tmp_path: Path, slow: SlowFile
) -> None:
    (tmp_path / "layer").write_bytes(CONTENT)
    async with scripted(tmp_path) as it:
        guest = Guest(it, 2)
        async with asyncio.TaskGroup() as group:
            bundle = image(path_of(slow), tmp_path / "layer")
            made = group.create_task(it.agent.ensure_template(bundle, StoreLayout()))
            await asyncio.to_thread(slow.wait_until_it_hangs)
            await guest.ended[1].wait()
            assert await it.agent.trim(POD_STORE_MOUNT) == 7
            assert not made.done()
            slow.let_go()
        assert made.result().created
    assert all(received == CONTENT for received in guest.received)


async def test_a_call_whose_layer_hangs_can_be_cancelled_and_the_file_is_closed_once_its_disk_goes_on(
    tmp_path: Path, slow: SlowFile
) -> None:
    async with scripted(tmp_path) as it:
        Guest(it, 1)
        call = asyncio.ensure_future(it.agent.ensure_template(image(path_of(slow)), StoreLayout()))
        await asyncio.to_thread(slow.wait_until_it_hangs)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert await it.agent.trim(POD_STORE_MOUNT) == 7
    assert opened(slow) == 2
    slow.let_go()
    for _ in range(LOOKS):
        if opened(slow) == 1:
            break
        await asyncio.sleep(LOOK_SECONDS)
    assert opened(slow) == 1


async def test_a_call_whose_layer_hangs_ends_when_nothing_moves_any_more(tmp_path: Path, slow: SlowFile) -> None:
    async with scripted(tmp_path, stall_seconds=1.0) as it:
        Guest(it, 1)
        with pytest.raises(DeadlineExceeded):
            await it.agent.ensure_template(image(path_of(slow)), StoreLayout())


async def test_a_read_that_fails_after_all_is_what_is_wrong_with_the_layer(tmp_path: Path, slow: SlowFile) -> None:
    async with scripted(tmp_path) as it:

        async def answer(data: bytes, context: Context) -> AsyncIterator[wire.EnsureTemplateResponse]:
            with await it.script.connect(wire.EnsureTemplateRequest.FromString(data).layers[0].stream) as guest:
                await asyncio.to_thread(slow.wait_until_it_hangs)
                slow.let_go(errno.EIO)
                while await asyncio.get_running_loop().sock_recv(guest, 1 << 16):
                    pass
            yield wire.EnsureTemplateResponse()

        it.script.on_stream("EnsureTemplate", answer)
        with pytest.raises(BlobCorrupt, match="Input/output error"):
            await it.agent.ensure_template(image(path_of(slow)), StoreLayout())
