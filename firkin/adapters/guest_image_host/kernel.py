"""The kernel of a guest: Debian's for cloud machines, or the user's own."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from firkin.domain.errors import GuestImageFailed, UnsupportedFeature
from firkin.ports.guest_image import BuildProgress

from .tools import run_tool, tool_path

_META_PACKAGES = {"x86_64": "linux-image-cloud-amd64"}
_DEPENDS = re.compile(r"^\s*Depends: (linux-image-\S+)$", re.MULTILINE)
_MODULES = "lib/modules"
# Documentation/arch/x86/boot.rst: magic at 0x202, kernel_version at 0x20E, counted from 0x200.
_BOOT_MAGIC_OFFSET = 0x202
_VERSION_OFFSET = 0x20E
_LONGEST_VERSION = 128


class Kernel(msgspec.Struct, frozen=True):
    """A kernel that QEMU can boot directly.

    Attributes:
        version: as `uname -r` tells it, "" when the file does not say.
        modules: directory of its modules; None when everything that is needed is built in.
    """

    path: Path
    version: str
    modules: Path | None


def own_kernel(path: Path) -> Kernel:
    """A kernel file of the user's; its modules are beside it or in /lib/modules.

    Raises:
        GuestImageFailed: it cannot be read.
    """
    try:
        version = _kernel_version(path)
    except OSError as error:
        raise GuestImageFailed("read the kernel", f"{path}: {error.strerror}") from error
    roots = [path.parent, path.parent.parent, Path("/")]
    places = [root / _MODULES / version for root in roots] if version else []
    return Kernel(path.absolute(), version, next((place for place in places if place.is_dir()), None))


def _kernel_version(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_VERSION_OFFSET + 2)
        if head[_BOOT_MAGIC_OFFSET : _BOOT_MAGIC_OFFSET + 4] != b"HdrS":
            return ""
        file.seek(struct.unpack_from("<H", head, _VERSION_OFFSET)[0] + 0x200)
        return file.read(_LONGEST_VERSION).partition(b"\0")[0].decode("ascii", "replace").partition(" ")[0]


def debian_kernel(directory: Path, search_path: str, progress: BuildProgress) -> Kernel:
    """Debian's cloud kernel below `directory`, downloaded when there is none yet.

    Raises:
        GuestImageFailed: apt cannot get it.
        MissingTool: this is no Debian.
        UnsupportedFeature: no kernel is known for this kind of processor.
    """
    with _locked(directory):
        kept = _kept(directory)
        if kept is None:
            progress("getting a kernel")
            _download(directory, search_path)
            kept = _kept(directory)
    if kept is None:
        raise GuestImageFailed("get a kernel", "the package holds none")
    return kept


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kept(directory: Path) -> Kernel | None:
    """The newest one by its time of arrival."""
    found = sorted(directory.glob("linux-image-*/boot/vmlinuz-*"), key=lambda path: path.stat().st_ctime_ns)
    if not found:
        return None
    version = found[-1].name.removeprefix("vmlinuz-")
    return Kernel(found[-1], version, found[-1].parents[1] / _MODULES / version)


def _download(directory: Path, search_path: str) -> None:
    machine = platform.machine()
    if machine not in _META_PACKAGES:
        raise UnsupportedFeature("a guest image", f"firkin knows no kernel for {machine}; give one with --kernel")
    package = _package_name(_META_PACKAGES[machine], search_path)
    apt = tool_path("apt-get", "apt", "getting a kernel (or give one with --kernel)", search_path)
    dpkg = tool_path("dpkg-deb", "dpkg", "unpacking a kernel", search_path)
    with tempfile.TemporaryDirectory(prefix=".kernel-", dir=directory) as place:
        aside = Path(place)
        # As root apt would drop to a user who may not write here.
        run_tool([apt, "-q", "-o", "APT::Sandbox::User=root", "download", package], search_path, aside)
        archives = list(aside.glob("*.deb"))
        if len(archives) != 1:
            raise GuestImageFailed("get a kernel", f"apt-get download {package} brought {len(archives)} files")
        run_tool([dpkg, "-x", str(archives[0]), str(aside / "package")], search_path)
        shutil.rmtree(aside / "package/usr", ignore_errors=True)
        (aside / "package").rename(directory / archives[0].stem)


def _package_name(meta_package: str, search_path: str) -> str:
    cache = tool_path("apt-cache", "apt", "getting a kernel (or give one with --kernel)", search_path)
    found = _DEPENDS.search(run_tool([cache, "depends", meta_package], search_path, check=False))
    if found is None:
        reason = f"apt knows no package {meta_package}: run `apt-get update`, or give a kernel with --kernel"
        raise GuestImageFailed("get a kernel", reason)
    return found[1]
