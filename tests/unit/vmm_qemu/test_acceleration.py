"""Whether machines are run by KVM, which is taken only after a machine was seen to run by it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Protocol

import pytest

from firkin.adapters.memory import MemoryGuestImages
from firkin.adapters.vmm_qemu.acceleration import (
    KVM,
    PROBE_ANSWER,
    TCG,
    Acceleration,
    best_acceleration,
    boot_failure,
    kvm_obstacle,
    remembered_finding,
)
from firkin.command_services import command_services
from firkin.ports.guest_image import GuestImage

pytestmark = pytest.mark.real_time

BOUND_SECONDS = 60.0
_OPENS = "/dev/kvm opens, but a machine that uses it"
# They stand for QEMUs whose guest answers, that refuse their machine, and whose guest never runs.
_RUNS = f"echo '{PROBE_ANSWER.decode()}'"
_REFUSES = "echo begins; echo 'qemu: no such processor' >&2; exit 1"
_HANGS = "exec sleep 1000"


class MakeQemu(Protocol):
    def __call__(self, script: str, name: str = "qemu") -> str: ...


def nothing_seen() -> str:
    """A look at the host finds no obstacle to KVM."""
    return ""


@pytest.fixture
def make_qemu(tmp_path: Path) -> MakeQemu:
    """A program that stands for QEMU, and writes a line of `runs` each time that it is run."""

    def made(script: str, name: str = "qemu") -> str:
        qemu = tmp_path / name
        qemu.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path / "runs"}\n{script}\n')
        qemu.chmod(0o755)
        return str(qemu)

    return made


def runs(tmp_path: Path) -> list[str]:
    """The arguments of each run."""
    path = tmp_path / "runs"
    return path.read_text().splitlines() if path.exists() else []


async def an_image(directory: Path) -> GuestImage:
    return await MemoryGuestImages(directory / "images").image()


async def test_kvm_is_taken_once_a_machine_was_seen_to_run_by_it_and_that_is_remembered(
    tmp_path: Path, make_qemu: MakeQemu
) -> None:
    qemu, image = make_qemu(_RUNS), await an_image(tmp_path)
    for _ in range(2):
        assert await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS) == Acceleration(KVM)
    (arguments,) = runs(tmp_path)
    assert "accel=kvm" in arguments
    assert remembered_finding(qemu, tmp_path / "images") == ""


async def test_the_command_line_reads_what_was_found(
    tmp_path: Path, make_qemu: MakeQemu, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu = make_qemu(_REFUSES, "qemu-system-x86_64")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FIRKIN_STATE_DIR", str(tmp_path / "state"))
    finding = command_services().kvm_finding
    assert finding() is None
    image = await MemoryGuestImages(tmp_path / "state/guest/images").image()
    chosen = await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS)
    assert finding() == chosen.reason != ""


async def test_a_machine_that_does_not_run_in_time_is_no_reason_to_wait_for_another(
    tmp_path: Path, make_qemu: MakeQemu
) -> None:
    qemu, image = make_qemu(_HANGS), await an_image(tmp_path)
    begun = time.monotonic()
    chosen = await best_acceleration(qemu, image, nothing_seen, 0.5)
    assert chosen == Acceleration(TCG, f"{_OPENS} did not boot within 0.5 s")
    assert time.monotonic() - begun < BOUND_SECONDS
    assert await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS) == chosen
    assert remembered_finding(qemu, tmp_path / "images") == chosen.reason


async def test_a_failure_is_tried_again_after_an_hour_and_what_has_run_is_not(
    tmp_path: Path, make_qemu: MakeQemu
) -> None:
    qemu, image = make_qemu(_RUNS), await an_image(tmp_path)
    identity, memory = os.stat(qemu).st_mtime_ns, image.root.with_name("kvm-probe.json")
    for script, age_seconds, expected_runs in (
        (_REFUSES, 0, 1),
        (_RUNS, 3000, 1),
        (_REFUSES, 4000, 2),
        (_RUNS, 4000, 3),
        (_REFUSES, 10**6, 3),
    ):
        make_qemu(script)
        os.utime(qemu, ns=(identity, identity))
        if memory.exists():
            finding = json.loads(memory.read_text())
            finding["seconds_since_boot"] -= age_seconds
            memory.write_text(json.dumps(finding))
        chosen = await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS)
        assert len(runs(tmp_path)) == expected_runs
        assert chosen.name == (TCG if expected_runs < 3 else KVM)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [(Acceleration(KVM), "KVM"), (Acceleration(TCG), "TCG"), (Acceleration(TCG, "no device"), "TCG (no device)")],
)
def test_it_is_told_in_words(chosen: Acceleration, told: str) -> None:
    assert chosen.told == told


async def test_what_a_qemu_says_that_refuses_its_machine_is_the_reason(tmp_path: Path, make_qemu: MakeQemu) -> None:
    qemu, image = make_qemu(_REFUSES), await an_image(tmp_path)
    chosen = await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS)
    assert chosen == Acceleration(TCG, f"{_OPENS} ended before it had booted (qemu: no such processor)")


async def test_a_machine_that_says_nothing_has_not_run(tmp_path: Path) -> None:
    image = await an_image(tmp_path)
    assert await boot_failure("/bin/true", image, TCG) == "ended before it had booted (it said nothing)"


async def test_what_was_remembered_of_another_qemu_or_of_another_start_of_the_computer_is_tried_again(
    tmp_path: Path, make_qemu: MakeQemu
) -> None:
    qemu, image = make_qemu(_REFUSES), await an_image(tmp_path)
    await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS)
    make_qemu(_RUNS)
    os.utime(qemu, ns=(1, 1))
    assert remembered_finding(qemu, tmp_path / "images") is None
    assert await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS) == Acceleration(KVM)
    memory = image.root.with_name("kvm-probe.json")
    memory.write_text(memory.read_text().replace('"subject":"', '"subject":"another-boot '))
    assert remembered_finding(qemu, tmp_path / "images") is None
    await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS)
    assert len(runs(tmp_path)) == 3


@pytest.mark.parametrize(
    "broken", [b"", b"\xff{", b"[]", b'{"subject": 1}', b'{"subject": "", "reason": ""}', b"[" * 100_000]
)
async def test_a_broken_memory_is_none_and_is_written_anew(tmp_path: Path, make_qemu: MakeQemu, broken: bytes) -> None:
    qemu, image = make_qemu(_RUNS), await an_image(tmp_path)
    image.root.with_name("kvm-probe.json").write_bytes(broken)
    assert remembered_finding(qemu, tmp_path / "images") is None
    assert await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS) == Acceleration(KVM)
    assert remembered_finding(qemu, tmp_path / "images") == ""


async def test_a_memory_that_cannot_be_written_costs_only_another_try(tmp_path: Path, make_qemu: MakeQemu) -> None:
    qemu, image = make_qemu(_RUNS), await an_image(tmp_path)
    image.root.with_name("kvm-probe.json").mkdir()
    for _ in range(2):
        assert await best_acceleration(qemu, image, nothing_seen, BOUND_SECONDS) == Acceleration(KVM)
    assert len(runs(tmp_path)) == 2


async def test_where_a_look_finds_an_obstacle_nothing_is_run(tmp_path: Path, make_qemu: MakeQemu) -> None:
    qemu, image = make_qemu(_RUNS), await an_image(tmp_path)
    chosen = await best_acceleration(qemu, image, lambda: "there is no /dev/kvm", BOUND_SECONDS)
    assert chosen == Acceleration(TCG, "there is no /dev/kvm")
    assert runs(tmp_path) == []
    assert remembered_finding(qemu, tmp_path / "images") is None


@pytest.mark.parametrize(
    ("flags", "obstacle"),
    [("fpu vmx sse", ""), ("svm", ""), ("fpu sse", "{} opens, but this processor offers no virtualisation")],
)
def test_a_device_that_opens_is_none_without_a_processor_for_it(tmp_path: Path, flags: str, obstacle: str) -> None:
    device, processor = tmp_path / "kvm", tmp_path / "cpuinfo"
    device.touch()
    processor.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    told = kvm_obstacle(device, processor)
    assert told.startswith(obstacle.format(device))
    assert bool(told) == bool(obstacle)


def test_a_device_that_is_not_there_or_does_not_open_is_an_obstacle(tmp_path: Path) -> None:
    assert kvm_obstacle(tmp_path / "absent") == f"there is no {tmp_path / 'absent'}"
    assert kvm_obstacle(tmp_path) == f"{tmp_path} cannot be opened: Is a directory"
