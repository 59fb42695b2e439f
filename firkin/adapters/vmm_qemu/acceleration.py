"""Whether the processor itself can run machines here (KVM), or QEMU has to do it all by itself (TCG)."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from firkin.domain.json_decoding import decoded_json
from firkin.ports.guest_image import GuestImage

KVM, TCG = "kvm", "tcg"
_DEVICE = Path("/dev/kvm")
_CPU_FLAGS = frozenset({"vmx", "svm"})
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROBE_SECONDS = 10.0
PROBE_PARAMETER = "firkin.probe"
# What the initramfs says when it finds that parameter, before it switches the machine off.
PROBE_ANSWER = b"firkin: this processor runs"


class Acceleration(msgspec.Struct, frozen=True):
    """How machines are run.

    Attributes:
        name: `kvm` or `tcg`.
        reason: why not KVM; "" when it is, or when TCG was asked for.
    """

    name: str
    reason: str = ""


class _Finding(msgspec.Struct, frozen=True):
    subject: str
    reason: str


async def best_acceleration(qemu: str, image: GuestImage, cache: Path) -> Acceleration:
    """KVM when a machine has been seen to run by it, since this computer was started; else TCG, and why.

    A device that opens proves nothing: there are computers where it does, and stock kernels hang. So a kernel is
    booted once, within a bounded time, and `cache` remembers what came of it.
    """
    reason = kvm_obstacle()
    if not reason:
        reason = await _remembered_probe(qemu, image, cache)
    return Acceleration(TCG, reason) if reason else Acceleration(KVM)


def kvm_obstacle() -> str:
    """Why KVM cannot work, as far as a look tells; "" when nothing speaks against it."""
    try:
        os.close(os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        absent = error.errno == errno.ENOENT
        return f"there is no {_DEVICE}" if absent else f"{_DEVICE} cannot be opened: {error.strerror}"
    flags = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "")
    if not _CPU_FLAGS & set(flags.split()):
        return f"{_DEVICE} opens, but this processor offers no virtualisation (neither vmx nor svm)"
    return ""


async def _remembered_probe(qemu: str, image: GuestImage, cache: Path) -> str:
    subject = _subject(qemu, image)
    known = _known_finding(cache)
    if known is not None and known.subject == subject:
        return known.reason
    runs = await machine_runs(qemu, image, KVM)
    reason = "" if runs else f"{_DEVICE} opens, but a machine that uses it did not boot within {_PROBE_SECONDS:g} s"
    _remember(cache, _Finding(subject, reason))
    return reason


def _subject(qemu: str, image: GuestImage) -> str:
    return f"{_BOOT_ID.read_text().strip()} {qemu} {os.stat(qemu).st_mtime_ns} {image.key}"


def _known_finding(cache: Path) -> _Finding | None:
    try:
        return decoded_json(cache.read_bytes(), _Finding)
    except (OSError, msgspec.DecodeError):
        return None


def _remember(cache: Path, finding: _Finding) -> None:
    with suppress(OSError):
        aside = cache.with_name(f".{cache.name}.{os.getpid()}")
        aside.write_bytes(msgspec.json.encode(finding))
        aside.rename(cache)


async def machine_runs(qemu: str, image: GuestImage, accelerator: str, seconds: float = _PROBE_SECONDS) -> bool:
    """Boot the guest's kernel, no further than its initramfs, and tell whether it got there in time."""
    process = await asyncio.create_subprocess_exec(
        *_probe_command(qemu, image, accelerator),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
            return PROBE_ANSWER in output
    except TimeoutError:
        return False
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _probe_command(qemu: str, image: GuestImage, accelerator: str) -> Sequence[str]:
    processor = "host" if accelerator == KVM else "max"
    return [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"),
        *("-machine", f"q35,accel={accelerator}", "-cpu", processor, "-m", "256M", "-serial", "stdio"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
        *("-append", f"console=ttyS0 quiet panic=-1 {PROBE_PARAMETER}"),
    ]
