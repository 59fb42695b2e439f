"""`firkin run --vmm qemu`: one container in a machine of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.end_to_end.command import Command
from tests.images.cache import cache_directory

from .machines import guest_images


def test_streams_and_exit_code_are_the_commands_and_the_kernel_is_the_machines(
    tmp_path: Path, busybox_image: str
) -> None:
    asyncio.run(guest_images().image())
    firkin = Command(tmp_path)
    firkin.state_dir.mkdir()
    (firkin.state_dir / "guest").symlink_to(cache_directory().parent / "guest")
    script = "cat; uname -r; nproc; echo to-stderr >&2; exit 7"
    machine = ("--vmm", "qemu", "--cpus", "2", "--memory", "256MiB")
    done = firkin.run("run", *machine, busybox_image, "--", "sh", "-c", script, stdin=b"from-stdin\n")
    assert done.code == 7, done.stderr
    given, kernel, processors = done.stdout.decode().splitlines()
    assert (given, kernel.endswith("-cloud-amd64"), processors) == ("from-stdin", True, "2")
    assert done.stderr == "to-stderr\n"
    assert firkin.leftovers() == []
