"""A kernel without openat2(2) (before Linux 5.6): directories are then removed by a walk of the engine's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import ctypes, errno, struct, sys
from pathlib import Path

from firkin.vminitd.filesystem.syscalls import openat2
from firkin.vminitd.layers.applier import apply_layer
from tests.integration.layers.archives import Trickle
from tests.integration.layers.golden import blocks

OPENAT2 = 437
# seccomp(2), filter.rst: load the number of the call; ENOSYS for openat2, everything else is allowed.
code = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in ((0x20, 0, 0, 0), (0x15, 0, 1, OPENAT2), (0x06, 0, 0, 0x00050000 | errno.ENOSYS),
                        (0x06, 0, 0, 0x7FFF0000))
)
libc = ctypes.CDLL(None, use_errno=True)
kept = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
try:
    openat2(-100, "/", 0, 0, 0)
except OSError as error:
    assert error.errno == errno.ENOSYS
else:
    raise AssertionError("openat2 is there")

rootfs, outside = sys.argv[1:]
deep = "/".join("d" * 40)
lower = blocks.layer(
    blocks.directory("gone"), blocks.file("gone/file"), blocks.symlink("gone/out", outside),
    blocks.directory(f"gone/{deep}"), blocks.file(f"gone/{deep}/file"), blocks.symlink("way", outside),
    blocks.directory("kept"), blocks.file("kept/old"), blocks.directory("kept/sub"), blocks.file("kept/sub/old"),
)
upper = blocks.layer(
    blocks.whiteout("gone"), blocks.file("kept/new"), blocks.opaque("kept"), blocks.whiteout("way"),
)
for tar in (lower, upper):
    apply_layer(rootfs, Trickle(tar), layer_name="layer")
"""


def test_layers_remove_what_they_hide_and_nothing_else(tmp_path: Path) -> None:
    rootfs, outside = tmp_path / "rootfs", tmp_path / "outside"
    rootfs.mkdir()
    outside.mkdir()
    (outside / "canary").write_text("alive")
    command = [sys.executable, "-c", _PROGRAM, str(rootfs), str(outside)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert os.listdir(rootfs) == ["kept"]
    assert os.listdir(rootfs / "kept") == ["new"]
    assert (outside / "canary").read_text() == "alive"
