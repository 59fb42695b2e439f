"""Keeps guest images by their content, and builds the one that is wanted when it is not there."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from firkin.domain.errors import PermissionMissing
from firkin.domain.json_decoding import decoded_json
from firkin.ports.guest_image import BuildProgress, GuestImage

from .cpio import cpio_archive
from .initramfs import initramfs
from .interpreter import add_interpreter
from .kept_images import removed_unless_locked
from .kernel import Kernel, debian_kernel, own_kernel
from .kernel_modules import KernelModules, add_modules
from .places import BUILDING, IMAGES, INITRAMFS, KERNEL, KERNELS, RECIPES, ROOT
from .programs import add_programs, add_shared_libraries
from .root_filesystem import write_root_filesystem
from .tree import GuestTree, fingerprint

# Of what this adapter puts into an image; counts up when that changes without any file of the host changing.
_FORMAT = "6"


class _Recipe(msgspec.Struct, frozen=True):
    """Of what an image was made: as long as none of it changes, the image is the one that would be made again."""

    key: str
    looked_at: tuple[str, ...]
    fingerprint: str


class HostGuestImages:
    """Keeps the port GuestImages with a directory."""

    def __init__(self, directory: Path, search_path: str) -> None:
        """Touch nothing yet.

        Args:
            directory: where images and kernels are kept.
            search_path: PATH on which programs are looked up, those for the image among them.
        """
        self._directory = directory.resolve()
        self._search_path = search_path

    async def image(self, kernel: Path | None = None, progress: BuildProgress | None = None) -> GuestImage:
        """The image for this version of firkin, built when it is not there yet.

        Raises:
            GuestImageFailed: it cannot be built.
            MissingTool, PermissionMissing, UnsupportedFeature: the machine lacks something.
        """
        return await asyncio.to_thread(self._image, kernel, progress or _told_nobody)

    def _image(self, kernel_path: Path | None, progress: BuildProgress) -> GuestImage:
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            kernel = own_kernel(kernel_path) if kernel_path is not None else None
            kernel = kernel or debian_kernel(self._directory / KERNELS, self._search_path, progress)
            recipe_path = self._directory / RECIPES / _recipe_name(kernel, self._search_path)
            return self._kept(recipe_path, kernel) or self._built(recipe_path, kernel, progress)
        except PermissionError as error:
            remedy = "choose a state directory that you may write to"
            raise PermissionMissing(f"keep guest images in {str(self._directory)!r}", remedy) from error

    def _kept(self, recipe_path: Path, kernel: Kernel) -> GuestImage | None:
        recipe = _read_recipe(recipe_path)
        if recipe is None or fingerprint(map(Path, recipe.looked_at)) != recipe.fingerprint:
            return None
        image = self._whole(recipe.key, kernel)
        if image is not None:
            # Used just now, for whoever gives space back; other users' images are not ours to mark.
            with suppress(PermissionError):
                os.utime(image.root.parent)
        return image

    def _whole(self, key: str, kernel: Kernel) -> GuestImage | None:
        place = self._directory / IMAGES / key
        if not place.is_dir():
            return None
        return GuestImage(key, place / KERNEL, kernel.version, place / INITRAMFS, place / ROOT)

    def _built(self, recipe_path: Path, kernel: Kernel, progress: BuildProgress) -> GuestImage:
        images = self._directory / IMAGES
        images.mkdir(mode=0o755, exist_ok=True)
        with _locked(images):
            # Somebody else may have built it meanwhile.
            if (image := self._kept(recipe_path, kernel)) is not None:
                return image
            progress("looking for what goes into the guest image")
            root, first_root = self._trees(kernel)
            # What chooses is looked at as well as what is chosen: another firkin may choose otherwise.
            looked_at = root.looked_at | first_root.looked_at | {kernel.path, *Path(__file__).parent.glob("*.py")}
            seen = fingerprint(looked_at)
            key = hashlib.sha256(
                f"{_FORMAT}\0{root.digest(sys.version)}\0{first_root.digest()}\0{_file_digest(kernel.path)}".encode()
            ).hexdigest()[:32]
            image = self._whole(key, kernel)
            if image is None:
                self._build(images / key, kernel, root, first_root, progress)
                image = self._whole(key, kernel)
            assert image is not None
            _write_recipe(recipe_path, _Recipe(key, tuple(sorted(map(str, looked_at))), seen))
            self._remove_outdated()
            return image

    def _remove_outdated(self) -> None:
        """Remove what no recipe makes any more, unless a machine runs from it."""
        recipes = (_read_recipe(path) for path in (self._directory / RECIPES).glob("*.json"))
        wanted = {recipe.key for recipe in recipes if recipe is not None}
        for place in (self._directory / IMAGES).iterdir():
            if place.name not in wanted:
                with suppress(OSError):
                    removed_unless_locked(place, place / ROOT)

    def _trees(self, kernel: Kernel) -> tuple[GuestTree, GuestTree]:
        modules = KernelModules(kernel.modules)
        root = GuestTree()
        add_interpreter(root)
        add_programs(root, self._search_path)
        add_shared_libraries(root, self._search_path)
        add_modules(root, modules)
        return root, initramfs(modules, self._search_path)

    def _build(
        self, place: Path, kernel: Kernel, root: GuestTree, first_root: GuestTree, progress: BuildProgress
    ) -> None:
        """Build aside, and give the image its name whole."""
        with tempfile.TemporaryDirectory(prefix=BUILDING, dir=place.parent) as building:
            aside = Path(building) / "image"
            aside.mkdir(mode=0o755)
            progress("packing the guest's kernel and drivers")
            shutil.copyfile(kernel.path, aside / KERNEL)
            (aside / INITRAMFS).write_bytes(cpio_archive(first_root))
            progress("packing the guest's root filesystem")
            write_root_filesystem(root, aside / ROOT, self._search_path)
            aside.rename(place)


def _told_nobody(_step: str) -> None:
    return


def _recipe_name(kernel: Kernel, search_path: str) -> str:
    parts = (_FORMAT, sys.executable, sys.version, __file__, str(kernel.path), search_path)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32] + ".json"


def _read_recipe(path: Path) -> _Recipe | None:
    try:
        return decoded_json(path.read_bytes(), _Recipe)
    except (OSError, msgspec.DecodeError):
        return None


def _write_recipe(path: Path, recipe: _Recipe) -> None:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(msgspec.json.encode(recipe))
    aside.rename(path)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One build at a time (flock(2)); the kernel lets go of it when a builder dies."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
