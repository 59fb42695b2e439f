"""A layer that ends, breaks or is cancelled at any point leaves an error, and nothing of its template."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import AgentError, BlobCorrupt, DiffIdMismatch, LayerRefused
from firkin.vminitd.layers.blob import ByteSource
from firkin.vminitd.layers.templates import TemplateBuilder, TemplateLayer
from tests.descriptors import open_descriptors, opened_since

from .archives import Trickle
from .golden.applying import PACKS
from .golden.blocks import (
    BLOCK,
    directory,
    fifo,
    file,
    global_pax,
    gnu_name,
    hard_link,
    layer,
    old_sparse,
    pax,
    sparse_1_0,
    symlink,
)

LOWER = layer(directory("etc"), file("etc/old"))
_NOISE = random.Random(5).randbytes(20_000)
TAR = layer(
    global_pax({"comment": "c" * 600, "uid": "7", "SCHILY.xattr.user.all": "z"}),
    directory("etc", mode=0o750),
    file("etc/a", _NOISE),
    pax({"path": "etc/" + "n" * 150, "mtime": "1.5", "SCHILY.xattr.user.x": "y" * 600}),
    file("x", b"b" * 700),
    gnu_name("/".join(["l" * 200] * 3)),
    symlink("x", "etc/a"),
    hard_link("etc/h", "etc/a"),
    fifo("etc/p"),
    old_sparse("s", 100_000, [(number * 1000, 3) for number in range(30)], b"abc" * 30),
    sparse_1_0("t", 100_000, [(number * 1000, 3) for number in range(30)], b"abc" * 30),
    global_pax({"uid": "", "mtime": "2.5"}),
    file("etc/.wh.old", b""),
    file("last", b"z" * BLOCK),
)
CUTS = random.Random(6)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    yield
    assert os.listdir(tmp_path / "templates") == []
    assert not opened_since(descriptors)
    assert set(threading.enumerate()) <= threads


def built(
    store: Path,
    blob: bytes,
    media_type: str,
    stream: ByteSource,
    *,
    diff_id: Digest | None = None,
    on_bytes: Callable[[int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """A template of two layers, of which the second one is to fail."""
    with TemplateBuilder(str(store), Digest.of(b"chain")) as builder:
        plain = TemplateLayer(Digest.of(LOWER), Digest.of(LOWER), "", len(LOWER))
        builder.apply(plain, Trickle(LOWER))
        described = TemplateLayer(Digest.of(blob), diff_id or Digest.of(TAR), media_type, len(blob))
        builder.apply(described, stream, on_bytes=on_bytes, cancelled=cancelled)
        assert len(os.listdir(store / "templates")) == 1


def cut_points(blob: bytes) -> list[int]:
    """Every block, and as many bytes at random."""
    blocks = range(0, len(blob), BLOCK)
    return [*blocks, *(CUTS.randrange(len(blob)) for _ in blocks)]


@pytest.mark.parametrize("media_type", PACKS)
def test_a_stream_that_ends_too_early(tmp_path: Path, media_type: str) -> None:
    blob = PACKS[media_type](TAR)
    for length in cut_points(blob):
        with pytest.raises(BlobCorrupt):
            built(tmp_path, blob, media_type, Trickle(blob[:length]))


@pytest.mark.parametrize("media_type", PACKS)
def test_a_blob_that_is_too_short_by_its_own_digest(tmp_path: Path, media_type: str) -> None:
    blob = PACKS[media_type](TAR)
    for length in cut_points(blob):
        with pytest.raises((LayerRefused, DiffIdMismatch)):
            built(tmp_path, blob[:length], media_type if length > 4 else "", Trickle(blob[:length]))


def test_an_archive_that_is_too_short_by_all_its_digests(tmp_path: Path) -> None:
    """Only between two entries it may end without an end mark, since its diff id vouches for it."""
    whole = 0
    for length in cut_points(TAR):
        cut = TAR[:length]
        try:
            built(tmp_path, cut, "", Trickle(cut), diff_id=Digest.of(cut))
        except LayerRefused:
            continue
        whole += 1
        assert length % BLOCK == 0
    assert 10 <= whole <= 14


@pytest.mark.parametrize("media_type", PACKS)
def test_a_cancellation_at_each_buffer(tmp_path: Path, media_type: str) -> None:
    blob = PACKS[media_type](TAR)
    reads = len(blob) // 997
    assert reads > 15
    for last in range(reads):
        asked = 0

        def cancelled(last: int = last) -> bool:
            nonlocal asked
            asked += 1
            return asked > last

        with pytest.raises(AgentError) as caught:
            built(tmp_path, blob, media_type, Trickle(blob, 997), cancelled=cancelled)
        assert caught.value.errno == errno.ECANCELED


class _Breaking(Trickle):
    """A stream that breaks after so many reads."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data, 997)
        self._reads = reads

    def read(self, size: int, /) -> bytes:
        if not self._reads:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        self._reads -= 1
        return super().read(size)


@pytest.mark.parametrize("media_type", PACKS)
def test_a_stream_that_breaks_at_each_buffer(tmp_path: Path, media_type: str) -> None:
    blob = PACKS[media_type](TAR)
    for reads in range(len(blob) // 997):
        with pytest.raises(AgentError) as caught:
            built(tmp_path, blob, media_type, _Breaking(blob, reads))
        assert caught.value.errno == errno.ECONNRESET


class _Enough(Exception):
    """What a caller's own code may raise."""


@pytest.mark.parametrize("media_type", PACKS)
def test_a_caller_that_fails_at_each_buffer(tmp_path: Path, media_type: str) -> None:
    blob = PACKS[media_type](TAR)
    for last in range(0, len(blob), 5 * 997):
        seen = 0

        def on_bytes(count: int, last: int = last) -> None:
            nonlocal seen
            seen += count
            if seen > last:
                raise _Enough

        with pytest.raises(_Enough):
            built(tmp_path, blob, media_type, Trickle(blob, 997), on_bytes=on_bytes)


def test_the_layer_itself_is_a_good_one(tmp_path: Path) -> None:
    with TemplateBuilder(str(tmp_path), Digest.of(b"chain")) as builder:
        described = TemplateLayer(Digest.of(TAR), Digest.of(TAR), "", len(TAR))
        assert builder.apply(described, Trickle(TAR)).entries == 10
