"""Images of pods whose processes were killed, and the loop devices that still hold them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from firkin.ports.leftovers import Leftover

KIND = "store image"
_LOOP_CLR_FD = 0x4C01
_DELETED = " (deleted)"


class ImageLeftovers:
    """Keeps the port Leftovers for `<state_dir>/pod-stores`: an image that nobody has locked has lost its owner."""

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._images = state_dir.absolute() / "pod-stores"

    async def found(self) -> tuple[Leftover, ...]:
        """Images without an owner, and devices of images that are gone."""
        return tuple(self._found())

    def _found(self) -> Iterator[Leftover]:
        devices = dict(_loop_devices(self._images))
        for path in sorted(self._images.glob("*.ext4")):
            device = devices.pop(path, None)
            if not _is_held(path):
                yield Leftover(KIND, str(path), "" if device is None else f"attached to {device}")
        for path, device in devices.items():
            if not path.exists():
                yield Leftover("loop device", str(device), f"its image {path} is gone")

    async def remove(self, leftover: Leftover) -> str:
        """Remove an image, or detach a device; the kernel keeps a device as long as it is mounted somewhere."""
        return self._removed(Path(leftover.name)) if leftover.kind == KIND else _detached(Path(leftover.name))

    def _removed(self, path: Path) -> str:
        with _locked(path) as is_ours:
            if not is_ours:
                return ""
            path.unlink(missing_ok=True)
            device = dict(_loop_devices(self._images)).get(path)
            return "" if device is None else _detached(device)


def _loop_devices(directory: Path) -> Iterator[tuple[Path, Path]]:
    """Images in the directory, and the devices that they are attached to (sysfs, loop/backing_file)."""
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            image = Path(file.read_text().rstrip("\n").removesuffix(_DELETED))
            if image.parent == directory:
                yield image, Path("/dev", file.parent.parent.name)


def _detached(device: Path) -> str:
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    try:
        fcntl.ioctl(descriptor, _LOOP_CLR_FD)
    except OSError as error:
        # ENXIO: whoever held it has let go of it meanwhile, and the kernel has detached it.
        return "" if error.errno == 6 else f"{device} cannot be detached: {error.strerror}"
    finally:
        os.close(descriptor)
    return ""


def _is_held(path: Path) -> bool:
    with _locked(path, fcntl.LOCK_SH) as is_ours:
        return not is_ours


@contextlib.contextmanager
def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[bool]:
    """Hold an image for a moment; False when its owner does, or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
