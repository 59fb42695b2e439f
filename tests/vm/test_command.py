"""`firkin run --vmm qemu`: one container in a machine of its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.end_to_end.command import Command
from tests.images.cache import cache_directory

from .machines import guest_images
from .shared_machine import SharedMachine


def test_streams_and_exit_code_are_the_commands_and_the_kernel_is_the_machines(
    tmp_path: Path, busybox_image: str
) -> None:
    firkin = _command(tmp_path)
    script = "cat; uname -r; nproc; echo to-stderr >&2; exit 7"
    machine = ("--vmm", "qemu", "--cpus", "2", "--memory", "256MiB")
    done = firkin.run("run", *machine, busybox_image, "--", "sh", "-c", script, stdin=b"from-stdin\n")
    assert done.code == 7, done.stderr
    given, kernel, processors = done.stdout.decode().splitlines()
    assert (given, kernel.endswith("-cloud-amd64"), processors) == ("from-stdin", True, "2")
    assert done.stderr == "to-stderr\n"
    assert firkin.leftovers() == []


def test_the_timings_of_a_pod_tell_the_phases_of_its_machines_boot(tmp_path: Path, busybox_image: str) -> None:
    firkin = _command(tmp_path)
    container = f"{{name: a, image: '{busybox_image}', command: [echo, hello]}}"
    spec = f"{{restartPolicy: Never, containers: [{container}]}}"
    (tmp_path / "pod.yaml").write_text(f"{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {spec}}}")
    done = firkin.run("pod", "run", "--vmm", "qemu", "--memory", "256MiB", "--timings", str(tmp_path / "pod.yaml"))
    assert (done.code, done.stdout) == (0, b"a | hello\n"), done.stderr
    phases = [line.split()[2] for line in done.stderr.splitlines() if line.startswith("p (boot)")]
    assert phases == ["qemu", "kernel", "initramfs", "root", "interpreter", "machine", "imports", "listen"]
    assert firkin.leftovers() == []


def test_the_image_of_a_machine_that_runs_is_told_as_in_use_and_cannot_be_removed(
    tmp_path: Path, shared_machine: SharedMachine
) -> None:
    shared_machine.start()
    firkin = _command(tmp_path)
    image = asyncio.run(guest_images().image())
    kept = {item["id"]: item["held"] for item in json.loads(firkin.run("guest", "list", "--json").stdout)}
    assert kept[image.key] == "a machine runs from it"
    refused = firkin.run("guest", "rm", image.key)
    assert (refused.code, refused.stdout) == (1, b"")
    assert refused.stderr == f"firkin: error: {image.key} stays: a machine runs from it\n"
    assert image.root.is_file()


def _command(directory: Path) -> Command:
    """A command whose machines boot from the tests' guest image."""
    asyncio.run(guest_images().image())
    firkin = Command(directory)
    firkin.state_dir.mkdir()
    (firkin.state_dir / "guest").symlink_to(cache_directory().parent / "guest")
    return firkin
