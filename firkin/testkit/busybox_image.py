"""The image that agents are tried with: busybox with its applets, as a bundle of one layer."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from firkin.domain.digest import Digest
from firkin.domain.errors import MissingTool
from firkin.domain.image import ImageBundle, ImageConfig, LayerBlob, Platform, chained_layers

_GZIP_TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
_GROUP = b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n"
_DIRECTORIES = ("bin", "etc", "root", "home", "home/app", "proc", "sys", "dev", "tmp", "var", "var/tmp")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def busybox_bundle(directory: Path) -> ImageBundle:
    """Write the layer into `directory`, and return the image.

    User `app` is 1000:1000 and in group `extra` (2000); `/bin/garbage` is executable and no program.

    Raises:
        MissingTool: this machine has no busybox.
    """
    archive = _archive()
    blob = gzip.compress(archive, compresslevel=1, mtime=0)
    path = directory / "busybox-layer.tar.gz"
    path.write_bytes(blob)
    layer = LayerBlob(path, Digest.of(blob), len(blob), _GZIP_TAR)
    config = ImageConfig(command=("sh",), environment=(_PATH,))
    layers = chained_layers((layer,), (Digest.of(archive),))
    return ImageBundle("testkit:busybox", Digest.of(b"testkit:busybox"), Platform.current(), config, layers)


def busybox_program() -> Path:
    """This machine's own, which the image has as `/bin/busybox`.

    Raises:
        MissingTool: there is none.
    """
    program = shutil.which("busybox")
    if program is None:
        raise MissingTool("busybox", "the image of the contract tests", "busybox-static")
    return Path(program)


def _archive() -> bytes:
    program = busybox_program()
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in _DIRECTORIES:
            tar.addfile(_member(name, tarfile.DIRTYPE, 0o1777 if name.endswith("tmp") else 0o755))
        files = {"bin/busybox": program.read_bytes(), "bin/garbage": b"\0no program\n"}
        files |= {"etc/passwd": _PASSWD, "etc/group": _GROUP}
        for name, data in files.items():
            member = _member(name, tarfile.REGTYPE, 0o755 if name.startswith("bin/") else 0o644)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for applet in applets:
            if applet != "busybox":
                link = _member(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
    return written.getvalue()


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member
