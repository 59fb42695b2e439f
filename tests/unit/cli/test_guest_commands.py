"""`firkin guest build`, `list`, `rm` and `prune`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from firkin.adapters.cli import run_program
from firkin.adapters.memory import Faults, MemoryGuestImages, MemoryReclaimableSpace
from firkin.domain.errors import GuestImageFailed
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind

from .test_program import memory_services

USED = Reclaimable(ReclaimableKind.GUEST_IMAGE, "3f2a", 3 << 20, 86400.0, "a machine runs from it")
OLD = Reclaimable(ReclaimableKind.GUEST_IMAGE, "3f9b", 2 << 20, 0.0)
KERNEL = Reclaimable(ReclaimableKind.GUEST_KERNEL, "linux-image-6.1", 1 << 20, 43200.0)


def nobody(_: Sequence[str]) -> NoReturn:
    raise AssertionError("nobody asked for an agent")


def run(space: MemoryReclaimableSpace, *words: str) -> int:
    return run_program(["guest", *words], memory_services(nobody)._replace(kept_guest_images=lambda: space))


@pytest.fixture
def space() -> MemoryReclaimableSpace:
    return MemoryReclaimableSpace([OLD, USED, KERNEL])


def left(space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str]) -> Sequence[str]:
    capsys.readouterr()
    run(space, "list", "--json")
    return [item["id"] for item in json.loads(capsys.readouterr().out)]


def test_the_list_begins_with_what_was_used_last_and_tells_what_is_in_use(
    space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(space, "list") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["WHAT", "ID", "SIZE", "LAST", "USED", "(UTC)"]
    assert [row.split()[2] for row in rows] == ["3f2a", "linux-image-6.1", "3f9b"]
    assert rows[0].endswith("1970-01-02 00:00:00  a machine runs from it")


def test_the_list_speaks_json(space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str]) -> None:
    run(space, "list", "--json")
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["kind"], first["size_bytes"], first["last_used"]) == (
        "guest image",
        3 << 20,
        "1970-01-02T00:00:00+00:00",
    )


def test_things_are_removed_by_the_beginnings_of_their_ids(
    space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(space, "rm", "3f9", "linux") == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("removed guest image 3f9b, 2 MiB freed")
    assert left(space, capsys) == ["3f2a"]


@pytest.mark.parametrize(
    ("identity", "reason"),
    [("3f", "several things have the id 3f"), ("x", "nothing has the id x"), ("3f2a", "stays: a machine runs from it")],
)
def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str], identity: str, reason: str
) -> None:
    assert run(space, "rm", identity, "linux") == 1
    assert reason in capsys.readouterr().err
    assert set(left(space, capsys)) == {"3f2a", "3f9b"}


def test_pruning_tells_why_each_thing_goes_or_stays(
    space: MemoryReclaimableSpace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(space, "prune", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "would remove" in said
    assert "a machine runs from it" in said
    assert run(space, "prune", "--keep-bytes", "5MiB") == 0
    assert set(left(space, capsys)) == {"3f2a", "linux-image-6.1"}


def build(directory: Path, *words: str) -> int:
    services = memory_services(nobody)._replace(guest_images=lambda: MemoryGuestImages(directory / "images"))
    return run_program(["guest", "build", *words], services)


def test_building_tells_its_steps_and_where_the_image_is_and_does_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path) == 0
    out, err = capsys.readouterr()
    assert err == "firkin: guest image: writing a few bytes\n"
    places = [line.split("  ")[:2] for line in out.splitlines()]
    assert [what for what, _ in places] == ["kernel", "initramfs", "root"]
    assert all(Path(place).is_file() for _, place in places)
    assert build(tmp_path) == 0
    assert capsys.readouterr() == (out, "")


def test_another_kernel_makes_another_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path)
    usual = capsys.readouterr().out
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(b"\x7fELF, a kernel of one's own")
    assert build(tmp_path, "--kernel", str(kernel)) == 0
    own = capsys.readouterr().out
    assert own != usual
    assert Path(own.splitlines()[0].split("  ")[1]).read_bytes() == kernel.read_bytes()


def test_a_kernel_that_is_not_there_or_cannot_be_used_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, "--kernel", str(tmp_path / "absent")) == 2
    assert "absent' does not exist" in capsys.readouterr().err
    faults = Faults()
    faults.fail("guest_images.image", GuestImageFailed("read the kernel", "it is none"))
    services = memory_services(nobody)._replace(guest_images=lambda: MemoryGuestImages(tmp_path / "images", faults))
    assert run_program(["guest", "build"], services) == 125
    assert "guest image cannot be made: failed to read the kernel: it is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "code"),
    [(("guest", "build"), 2), (("run", "--vmm", "qemu"), 125), (("pod", "run", "--vmm", "qemu"), 125)],
)
def test_a_file_that_plainly_is_no_kernel_is_told_before_anything_is_made_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], code: int
) -> None:
    (tmp_path / "initrd.gz").write_bytes(b"\x1f\x8b\x08")
    assert run_program([*command, "--kernel", str(tmp_path / "initrd.gz")], memory_services(nobody)) == code
    assert "initrd.gz' is no kernel: neither a bzImage nor an ELF or Multiboot file" in capsys.readouterr().err
