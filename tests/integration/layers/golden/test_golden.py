"""Golden layers: normal and hostile ones, and exactly what becomes of them."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

from firkin.domain.errors import LayerRefused
from tests.descriptors import open_descriptors, opened_since

from ..archives import Trickle, sha256
from .applying import PACKS, applied
from .case import Golden, Refused
from .global_headers import GLOBAL
from .headers import HEADERS
from .links import LINKS
from .pax_records import PAX
from .replacing import REPLACING
from .sparse_maps import SPARSE
from .trees import PREPARED, Tree, differences, read_tree
from .whiteouts import WHITEOUTS

GOLDEN: dict[str, Golden] = {
    f"{kind}: {name}": golden
    for kind, table in {
        "header": HEADERS,
        "pax": PAX,
        "global": GLOBAL,
        "sparse": SPARSE,
        "whiteout": WHITEOUTS,
        "replacing": REPLACING,
        "link": LINKS,
    }.items()
    for name, golden in table.items()
}


@pytest.fixture
def rootfs(tmp_path: Path) -> Generator[Path, None, None]:
    """An empty rootfs; what lies beside it must stay as it is."""
    outside = tmp_path / "outside"
    (outside / "etc").mkdir(parents=True)
    (outside / "etc" / "passwd").write_text("untouched")
    prepared = tmp_path / "rootfs"
    prepared.mkdir()
    prepared.chmod(0o755)
    os.utime(prepared, (PREPARED, PREPARED))
    before = read_tree(outside)
    yield prepared
    assert read_tree(outside) == before
    assert sorted(os.listdir(tmp_path)) == ["outside", "rootfs"]


def test_there_are_layers_enough() -> None:
    assert len(GOLDEN) >= 60


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(rootfs: Path, name: str) -> None:
    golden = GOLDEN[name]
    *lower, last = golden.layers
    for each in lower:
        applied(rootfs, each, Golden((), {}))
    if isinstance(golden.outcome, Refused):
        with pytest.raises(LayerRefused) as caught:
            applied(rootfs, last, golden)
        assert re.search(golden.outcome.reason, caught.value.reason, re.IGNORECASE), caught.value
        if golden.outcome.entry is not None:
            assert caught.value.entry == golden.outcome.entry
        assert caught.value.layer == "layer"
        return
    applied(rootfs, last, golden)
    assert differences(golden.outcome, read_tree(rootfs)) == {}


def _tree_of(rootfs: Path, golden: Golden, media_type: str, step: int) -> Tree:
    rootfs.mkdir()
    rootfs.chmod(0o755)
    os.utime(rootfs, (PREPARED, PREPARED))
    for tar in golden.layers:
        blob = PACKS[media_type](tar)
        applied(rootfs, blob, golden, Trickle(blob, step), media_type, sha256(tar))
    return read_tree(rootfs)


@pytest.mark.parametrize("media_type", PACKS)
@pytest.mark.parametrize("step", [1, 511, 513, 1 << 20])
def test_neither_compression_nor_the_sizes_of_reads_matter(tmp_path: Path, media_type: str, step: int) -> None:
    """Small steps put every boundary of the archive at the end of a buffer."""
    names = [
        "header: every kind of entry",
        "header: GNU long names and targets",
        "pax: times to the nanosecond",
        "global: owners, times and attributes of all that follows",
        "global: between an entry's own header and the entry",
        "sparse: the first format in three header blocks",
        "sparse: a map of more than one block",
        "whiteout: opaque, and plain ones below it",
    ]
    for number, name in enumerate(names):
        found = _tree_of(tmp_path / str(number), GOLDEN[name], media_type, step)
        outcome = GOLDEN[name].outcome
        assert not isinstance(outcome, Refused)
        assert differences(outcome, found) == {}, name


def test_the_umask_does_not_matter(rootfs: Path) -> None:
    golden = GOLDEN["header: every kind of entry"]
    before = os.umask(0o077)
    try:
        applied(rootfs, golden.layers[0], golden)
    finally:
        os.umask(before)
    assert not isinstance(golden.outcome, Refused)
    assert differences(golden.outcome, read_tree(rootfs)) == {}


def test_a_refusal_leaves_no_descriptor_open(rootfs: Path) -> None:
    def refuse_all() -> None:
        for name, golden in GOLDEN.items():
            if isinstance(golden.outcome, Refused) and name.startswith(("sparse", "pax", "global")):
                with pytest.raises(LayerRefused):
                    applied(rootfs, golden.layers[-1], golden)

    refuse_all()
    before = open_descriptors()
    refuse_all()
    assert not opened_since(before)
