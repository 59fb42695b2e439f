"""`firkin run --vmm qemu`: one container in a machine of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from pathlib import Path

from tests.end_to_end.command import Command, finished
from tests.images.cache import cache_directory

from .machines import guest_images
from .shared_machine import SharedMachine


def test_streams_and_exit_code_are_the_commands_and_the_kernel_is_the_machines(
    tmp_path: Path, busybox_image: str
) -> None:
    firkin = _command(tmp_path)
    script = "cat; uname -r; nproc; grep MemTotal: /proc/meminfo; echo to-stderr >&2; exit 7"
    machine = ("--vmm", "qemu", "--cpus", "2", "--memory", "256MiB")
    done = firkin.run("run", *machine, busybox_image, "--", "sh", "-c", script, stdin=b"from-stdin\n")
    assert done.code == 7, done.stderr
    given, kernel, processors, memory = done.stdout.decode().splitlines()
    assert (given, kernel.endswith("-cloud-amd64"), processors) == ("from-stdin", True, "2")
    # The kernel keeps some for itself.
    assert 160 * 1024 < int(memory.split()[1]) < 256 * 1024, memory
    assert done.stderr == "to-stderr\n"
    assert firkin.leftovers() == []


def test_the_timings_of_a_pod_tell_the_phases_of_its_machines_boot(tmp_path: Path, busybox_image: str) -> None:
    firkin = _command(tmp_path)
    container = f"{{name: a, image: '{busybox_image}', command: [echo, hello]}}"
    spec = f"{{restartPolicy: Never, containers: [{container}]}}"
    (tmp_path / "pod.yaml").write_text(f"{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {spec}}}")
    machine = ("--vmm", "qemu", "--memory", "256MiB")
    done = firkin.run("pod", "run", *machine, "--timings", "-v", str(tmp_path / "pod.yaml"))
    assert (done.code, done.stdout) == (0, b"a | hello\n"), done.stderr
    phases = [line.split()[2] for line in done.stderr.splitlines() if line.startswith("p (boot)")]
    assert phases == ["qemu", "kernel", "initramfs", "root", "interpreter", "machine", "imports", "listen"]
    assert re.search(
        r"^firkin: pod p: a machine booted in \d+\.\d s, run by (KVM|TCG \(.+\))$", done.stderr, re.MULTILINE
    )
    assert firkin.leftovers() == []


def test_the_first_run_builds_what_machines_boot_from_and_its_pod_has_a_port_and_the_network(
    tmp_path: Path, busybox_image: str
) -> None:
    kept, firkin = asyncio.run(guest_images().image()), Command(tmp_path)
    guest = firkin.state_dir / "guest"
    guest.mkdir(parents=True)
    (guest / "kernels").symlink_to(kept.kernel.parents[2] / "kernels")
    script = "cat /etc/resolv.conf; echo hello | nc -l -p 8080"
    options = ("--vmm", "qemu", "--memory", "256MiB", "--network", "user", "-p", "8080")
    with firkin.started("run", *options, busybox_image, "--", "sh", "-c", script) as process:
        assert process.stderr is not None
        told = list[str]()
        while not (port := re.search(r"port 8080 of the pod is 127\.0\.0\.1:(\d+) here", "".join(told))):
            told.append(process.stderr.readline().decode())
            assert told[-1], told
        assert _heard(firkin, int(port[1])) == b"hello\n"
        done = finished(process)
    assert (done.code, done.stdout) == (0, b"nameserver 10.0.2.3\n")
    assert "firkin: guest image: packing the guest's root filesystem\n" in told
    assert firkin.leftovers() == []
    built = firkin.run("guest", "build")
    assert (built.code, built.stderr) == (0, "")
    assert f"root  {guest.resolve() / 'images' / kept.key / 'root.erofs'}\n" in built.stdout.decode()


def _heard(firkin: Command, port: int) -> bytes:
    """What a server of the pod says, once it listens there."""
    said = [b""]

    def is_heard() -> bool:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as connection:
            said.append(connection.makefile("rb").read())
        return bool(said[-1])

    firkin.until(is_heard)
    return said[-1]


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
