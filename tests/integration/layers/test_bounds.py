"""Bombs: every limit has its own refusal, and memory does not grow with a layer."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from firkin.domain.digest import Digest
from firkin.domain.errors import LayerRefused
from firkin.domain.layer_limits import LayerLimits
from firkin.vminitd.layers.applier import apply_layer

from .archives import Trickle
from .golden.blocks import END, directory, file, global_pax, gnu_link, gnu_name, layer, old_sparse, pax, symlink
from .golden.trees import Tree, read_tree

MIB = 2**20
ZEROS = layer(file("zeros", b"\0" * 4 * MIB))


def windowed(tar: bytes, window_log: int) -> bytes:
    """A zstd frame that may refer back over 2**window_log bytes, and does not say how large it is."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log, write_content_size=0)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return compressor.compress(tar) + compressor.flush()


LIMITS: dict[str, tuple[bytes, LayerLimits, str]] = {
    "entries": (layer(*(file(str(n), b"") for n in range(4))), LayerLimits(entries=3), "more than 3 entries"),
    "a name": (layer(gnu_name("n/" * 60), file("x")), LayerLimits(name_bytes=100), "longer than 100 bytes"),
    "a target": (layer(gnu_link("n" * 101), symlink("s", "x")), LayerLimits(name_bytes=100), "longer than 100 bytes"),
    "a pax header": (
        layer(pax({"comment": "c" * 600}), file("x")),
        LayerLimits(header_bytes=600),
        "larger than 600 bytes",
    ),
    "a GNU header": (layer(gnu_name("n/" * 400), file("x")), LayerLimits(header_bytes=600), "larger than 600 bytes"),
    "nesting": (layer(directory("a/b/c"), directory("a/b/c/d")), LayerLimits(depth=3), "more than 3 components"),
    "all bytes": (ZEROS, LayerLimits(tar_bytes=MIB), f"larger than {MIB} bytes"),
    "expansion by gzip": (
        gzip.compress(ZEROS),
        LayerLimits(expansion=100, expansion_free_bytes=MIB),
        "more than 100 times",
    ),
    "expansion by zstd": (
        zstandard.compress(ZEROS),
        LayerLimits(expansion=100, expansion_free_bytes=MIB),
        "more than 100 times",
    ),
    "a zstd window": (windowed(ZEROS, 23), LayerLimits(window_bytes=2**22), "refers back over more than 4194304 bytes"),
}


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs").mkdir()
    return tmp_path / "rootfs"


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_has_its_own_refusal(rootfs: Path, name: str) -> None:
    blob, limits, reason = LIMITS[name]
    with pytest.raises(LayerRefused, match=reason):
        apply_layer(str(rootfs), Trickle(blob), layer_name="layer", limits=limits)


@pytest.mark.parametrize("name", LIMITS)
def test_by_default_none_of_these_is_too_much(rootfs: Path, name: str) -> None:
    apply_layer(str(rootfs), Trickle(LIMITS[name][0]), layer_name="layer")


def gzip_bomb() -> Iterator[bytes]:
    """A file of half a gibibyte of zeros, in half a megabyte."""
    yield gzip.compress(file("zeros", b"", size=512 * MIB))
    zeros = gzip.compress(bytes(16 * MIB))
    for _ in range(32):
        yield zeros
    yield gzip.compress(END)


def zstd_bomb() -> Iterator[bytes]:
    """Nearly the same in some frames of few bytes; more would be refused for its expansion."""
    yield zstandard.compress(file("zeros", b"", size=960 * MIB))
    zeros = zstandard.compress(bytes(64 * MIB))
    for _ in range(15):
        yield zeros
    yield zstandard.compress(END)


def large_headers() -> Iterator[bytes]:
    """Extended headers as large as they may be."""
    for number in range(40):
        yield pax({"comment": "c" * (4 * MIB - 20)}) + file(str(number), b"")
    yield END


def large_global_headers() -> Iterator[bytes]:
    """Global headers as large as they may be, of all that is kept of them and of what is not; and entries' own."""
    for number in range(12):
        yield global_pax({"comment": "c" * (4 * MIB - 20)})
        yield global_pax({"mtime": "1." + "0" * (2 * MIB), f"SCHILY.xattr.trusted.{number}": ""})
        yield pax({"comment": "c" * (2 * MIB - 100)}) + file(str(number), b"")
    yield END


def many_global_headers() -> Iterator[bytes]:
    """Each changes all that the one before it said."""
    for number in range(5_000):
        yield global_pax({f"SCHILY.xattr.trusted.{n}": f"{number}" * 5 for n in range(60)})
        if number % 100 == 0:
            yield file(str(number), b"")
    yield END


def many_entries() -> Iterator[bytes]:
    """Entries that have to be remembered, because a whiteout may come."""
    yield directory("d")
    for number in range(100_000):
        yield symlink(f"d/{number % 20}-{number}", "x") if number < 20_000 else directory(f"d/{number % 20_000}x")
    yield file(".wh.d", b"") + END


def long_sparse_maps() -> Iterator[bytes]:
    """Files of nothing but extents."""
    extents = [(number * 4096, 1) for number in range(20_000)]
    for number in range(4):
        yield old_sparse(f"s{number}", 20_000 * 4096, extents, b"x" * 20_000)
    yield END


_PROGRAM = """
import sys
from firkin.vminitd.layers.applier import apply_layer
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
before = peak()
with open(sys.argv[2], "rb", buffering=0) as stream:
    apply_layer(sys.argv[1], stream, layer_name="layer")
print(before, peak())
"""


@pytest.mark.parametrize(
    "make",
    [gzip_bomb, zstd_bomb, large_headers, large_global_headers, many_global_headers, many_entries, long_sparse_maps],
    ids=lambda make: make.__name__,
)
def test_memory_is_bounded_whatever_the_layer(
    rootfs: Path, tmp_path: Path, make: Callable[[], Iterator[bytes]]
) -> None:
    blob = tmp_path / "blob"
    with blob.open("wb") as writer:
        writer.writelines(make())
    command = [sys.executable, "-c", _PROGRAM, str(rootfs), str(blob)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, peak = map(int, done.stdout.split())
    assert peak - before < 64
    assert peak < 100


_STACK_PROGRAM = """
import contextlib, sys
from firkin.domain.digest import Digest, chain_ids
from firkin.vminitd.layers.stacks import TemplateStack
from firkin.vminitd.layers.templates import TemplateLayer
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
described = [each.split(",") for each in sys.argv[2:]]
layers = [TemplateLayer(Digest(digest), Digest(diff_id), "", 0) for _, digest, diff_id in described]
@contextlib.contextmanager
def opened(index):
    with open(described[index][0], "rb", buffering=0) as stream:
        yield stream
before = peak()
with TemplateStack(sys.argv[1], chain_ids([layer.diff_id for layer in layers])[-1], layers) as stack:
    stack.build(opened, lambda: None)
    print(before, peak(), stack.entries)
"""


@pytest.mark.parametrize("window_log", [23, 25])
def test_memory_is_bounded_with_layers_beside_each_other_of_the_largest_windows(
    tmp_path: Path, window_log: int
) -> None:
    noise = random.Random(1).randbytes(MIB)
    described = []
    for number in range(3):
        tar = file(f"noise-{number}", b"", size=48 * MIB) + noise * 48 + END
        blob = tmp_path / f"{number}.zst"
        blob.write_bytes(windowed(tar, window_log))
        described.append(f"{blob},{Digest.of(blob.read_bytes())},{Digest.of(tar)}")
    command = [sys.executable, "-c", _STACK_PROGRAM, str(tmp_path), *described]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, peak, entries = map(int, done.stdout.split())
    assert entries == 3
    assert peak - before < 64
    assert peak < 100


def test_layers_applied_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    tars = [
        layer(directory(f"d{n}"), *(file(f"d{n}/{m}", b"%d" % (n * m) * 3000) for m in range(60))) for n in range(6)
    ]
    found: dict[int, Tree] = {}

    def work(number: int) -> None:
        for turn in range(3):
            rootfs = tmp_path / f"{number}-{turn}"
            rootfs.mkdir()
            apply_layer(str(rootfs), Trickle(gzip.compress(tars[number])), layer_name=str(number))
            found[number * 3 + turn] = read_tree(rootfs)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 18
    for number in range(6):
        alone = tmp_path / f"alone-{number}"
        alone.mkdir()
        apply_layer(str(alone), Trickle(tars[number]), layer_name=str(number))
        expected = {path: node for path, node in read_tree(alone).items() if path != b"."}
        for turn in range(3):
            seen = found[number * 3 + turn]
            assert {path: node for path, node in seen.items() if path != b"."} == expected
