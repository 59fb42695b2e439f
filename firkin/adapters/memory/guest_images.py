"""Guest images that nothing boots: for tests of who asks for them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from firkin.domain.errors import GuestImageFailed
from firkin.ports.guest_image import BuildProgress, GuestImage

from .faults import Faults

# cpio(5), the new ASCII format: the header of the entry that ends an archive.
_EMPTY_ARCHIVE = b"070701" + b"0" * 32 + b"00000001" + b"0" * 48 + b"0000000b" + b"0" * 8 + b"TRAILER!!!" + b"\0" * 4


class MemoryGuestImages:
    """Keeps the port GuestImages with a few bytes for each image, which have to lie in files."""

    def __init__(self, directory: Path, faults: Faults | None = None) -> None:
        """The files lie below `directory`."""
        self._directory = directory
        self._faults = faults or Faults()

    async def image(self, kernel: Path | None = None, progress: BuildProgress | None = None) -> GuestImage:
        """The image of a kernel, made when it is not there yet.

        Raises:
            GuestImageFailed: the kernel cannot be read.
        """
        await self._faults.reach("guest_images.image")
        return self._image(kernel, progress)

    def _image(self, kernel: Path | None, progress: BuildProgress | None) -> GuestImage:
        try:
            content = b"kernel" if kernel is None else kernel.read_bytes()
        except OSError as error:
            raise GuestImageFailed("read the kernel", f"{kernel}: {error.strerror}") from error
        key = hashlib.sha256(content).hexdigest()[:32]
        place = self._directory / key
        image = GuestImage(key, place / "kernel", "", place / "initramfs", place / "root")
        if not place.exists():
            if progress is not None:
                progress("writing a few bytes")
            place.mkdir(parents=True)
            for path, data in ((image.kernel, content), (image.initramfs, _EMPTY_ARCHIVE), (image.root, b"root")):
                path.write_bytes(data)
        return image
