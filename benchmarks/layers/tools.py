"""The programs that make a rootfs of layers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .inputs import Input
from .lower_bound import write_list
from .measuring import Cost, Stopwatch, Work, compiled
from .places import forget

_SPARE_BYTES = 512 * 2**20

FIRKIN = "firkin"
INFLATE = "inflate alone"
CREATE = "create alone"
STACKED = "firkin, layers apart"


class Tools:
    """Makes the works of layers: everything that is installed and can read them.

    Attributes:
        scratch: a directory for programs and lists.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._stopwatch = Stopwatch(scratch)
        self._creator = compiled("create_files", scratch)

    def works(self, layers: Input, *, short: bool, cold: bool = False) -> dict[str, Work]:
        """By name; in short only firkin and GNU tar.

        Each begins with warm memory for all that it writes, and with its layers in the page cache, unless that is cold.
        """
        return {name: self._prepared(layers, work, cold) for name, work in self._works(layers, short=short).items()}

    def _prepared(self, layers: Input, work: Work, cold: bool) -> Work:
        def run(rootfs: Path) -> Cost:
            self._stopwatch.warm(layers.tar_bytes + _SPARE_BYTES)
            for layer in layers.layers if cold else ():
                forget(layer.path)
            return work(rootfs)

        return run

    def _works(self, layers: Input, *, short: bool) -> dict[str, Work]:
        paths = [str(layer.path) for layer in layers.layers]
        described = [f"{layer.path},{layer.digest},{layer.diff_id}" for layer in layers.layers]
        tar = "tar -z" if layers.compression == "gzip" else "tar --zstd"
        found = {
            FIRKIN: self._in(sys.executable, "-m", "benchmarks.layers.apply_process", ".", *described),
            "GNU tar": self._in("sh", "-e", "-c", "; ".join(f"{tar} -xf {path}" for path in paths)),
        }
        if short:
            return found
        prepared = self._scratch / f"{layers.name}.list"
        write_list(layers.tars, prepared)
        found |= {
            "firkin layer apply": self._in(sys.executable, "-m", "firkin", "layer", "apply", ".", *paths),
            STACKED: self._in(sys.executable, "-m", "benchmarks.layers.stack_process", ".", *described),
            INFLATE: self._in(sys.executable, "-m", "benchmarks.layers.lower_bound", "inflate", *paths),
            CREATE: self._in(str(self._creator), str(prepared), *map(str, layers.tars)),
        }
        return found | self._peers(layers, paths)

    def _peers(self, layers: Input, paths: Sequence[str]) -> dict[str, Work]:
        found: dict[str, Work] = {}
        if shutil.which("bsdtar"):
            found["bsdtar"] = self._in("sh", "-e", "-c", "; ".join(f"bsdtar -xpf {path}" for path in paths))
        if shutil.which("umoci") and layers.compression == "gzip":
            found["umoci"] = self._in("umoci", "raw", "unpack", "--image", f"{layers.layout}:latest", "rootfs")
        if shutil.which("skopeo"):
            found["podman's storage"] = self._containers_storage(layers)
        return found

    def _in(self, *command: str) -> Work:
        return lambda rootfs: self._stopwatch.measured(command, rootfs)

    def _containers_storage(self, layers: Input) -> Work:
        """What `podman pull` does, which itself takes no layout whose path it cannot make a name of."""

        def copy(rootfs: Path) -> Cost:
            target = f"containers-storage:[overlay@{rootfs}/root+{rootfs}/run]benchmark:latest"
            try:
                return self._stopwatch.measured(["skopeo", "copy", "-q", f"oci:{layers.layout}:latest", target])
            finally:
                # It leaves a mount on its directory.
                subprocess.run(["umount", "-q", str(rootfs / "root" / "overlay")], check=False)

        return copy
