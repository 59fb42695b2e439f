"""Whether the processor itself can run machines here (KVM), or QEMU has to do it all by itself (TCG)."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from firkin.domain.json_decoding import decoded_json
from firkin.ports.guest_image import GuestImage

KVM, TCG = "kvm", "tcg"
_DEVICE, _PROCESSOR = Path("/dev/kvm"), Path("/proc/cpuinfo")
_CPU_FLAGS = frozenset({"vmx", "svm"})
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROBE_SECONDS = 10.0
# A failure may have been that of a busy host. So it is tried again, but not so often that it costs anybody much.
_FAILURE_COUNTS_SECONDS = 3600.0
_LINE_CHARACTERS = 200
_MEMORY = "kvm-probe.json"
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

    @property
    def told(self) -> str:
        """The same in words."""
        return f"{self.name.upper()} ({self.reason})" if self.reason else self.name.upper()


class _Finding(msgspec.Struct, frozen=True):
    """What came of a probe; its subject names the start of the computer that the seconds are counted from."""

    subject: str
    reason: str
    seconds_since_boot: float

    def is_in_doubt(self) -> bool:
        return bool(self.reason) and _seconds_since_boot() - self.seconds_since_boot >= _FAILURE_COUNTS_SECONDS


def kvm_obstacle(device: Path = _DEVICE, processor: Path = _PROCESSOR) -> str:
    """Why KVM cannot work, as far as a look tells; "" when nothing speaks against it."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        absent = error.errno == errno.ENOENT
        return f"there is no {device}" if absent else f"{device} cannot be opened: {error.strerror}"
    flags = next((line for line in processor.read_text().splitlines() if line.startswith("flags")), "")
    if not _CPU_FLAGS & set(flags.split()):
        return f"{device} opens, but this processor offers no virtualisation (neither vmx nor svm)"
    return ""


async def best_acceleration(
    qemu: str, image: GuestImage, obstacle: Callable[[], str] = kvm_obstacle, seconds: float = _PROBE_SECONDS
) -> Acceleration:
    """KVM when a machine has been seen to run by it, since this computer was started; else TCG, and why.

    A device that opens proves nothing: there are computers where it does, and stock kernels hang. So a kernel is
    booted once, within `seconds`, and a file beside the image remembers what came of it: a failure for an hour.
    """
    reason = obstacle() or await _remembered_probe(qemu, image, seconds)
    return Acceleration(TCG, reason) if reason else Acceleration(KVM)


def remembered_finding(qemu: str, images: Path) -> str | None:
    """What came of the newest probe of this QEMU since the computer was started; nothing is run.

    Args:
        qemu: its program.
        images: a directory with a directory for each guest image.

    Returns:
        "" when a machine was seen to run, else why not; None when none was probed.
    """
    beginning = _subject(qemu, "")
    newest, reason = -1.0, None
    for path in images.glob(f"*/{_MEMORY}"):
        known = _known_finding(path)
        if known is not None and known.subject.startswith(beginning) and known.seconds_since_boot > newest:
            newest, reason = known.seconds_since_boot, known.reason
    return reason


async def _remembered_probe(qemu: str, image: GuestImage, seconds: float) -> str:
    subject, memory = _subject(qemu, image.key), image.root.with_name(_MEMORY)
    known = _known_finding(memory)
    if known is not None and known.subject == subject and not known.is_in_doubt():
        return known.reason
    failure = await boot_failure(qemu, image, KVM, seconds)
    reason = f"{_DEVICE} opens, but a machine that uses it {failure}" if failure else ""
    _remember(memory, _Finding(subject, reason, _seconds_since_boot()))
    return reason


def _subject(qemu: str, image_key: str) -> str:
    return f"{_BOOT_ID.read_text().strip()} {qemu} {os.stat(qemu).st_mtime_ns} {image_key}"


def _known_finding(cache: Path) -> _Finding | None:
    try:
        return decoded_json(cache.read_bytes(), _Finding)
    except (OSError, msgspec.DecodeError):
        return None


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _remember(cache: Path, finding: _Finding) -> None:
    with suppress(OSError):
        aside = cache.with_name(f".{cache.name}.{os.getpid()}")
        aside.write_bytes(msgspec.json.encode(finding))
        aside.rename(cache)


async def boot_failure(qemu: str, image: GuestImage, accelerator: str, seconds: float = _PROBE_SECONDS) -> str:
    """Boot the guest's kernel, no further than its initramfs: "" when it got there in time, else what it did."""
    process = await asyncio.create_subprocess_exec(
        *_probe_command(qemu, image, accelerator),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C would be remembered as a machine that does not run
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        return f"did not boot within {seconds:g} s"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return "" if PROBE_ANSWER in output else f"ended before it had booted ({_last_line(output)})"


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return "".join(filter(str.isprintable, said))[:_LINE_CHARACTERS]


def _probe_command(qemu: str, image: GuestImage, accelerator: str) -> Sequence[str]:
    processor = "host" if accelerator == KVM else "max"
    return [
        *(qemu, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"),
        *("-machine", f"q35,accel={accelerator}", "-cpu", processor, "-m", "256M", "-serial", "stdio"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initramfs)),
        *("-append", f"console=ttyS0 quiet panic=-1 {PROBE_PARAMETER}"),
    ]
