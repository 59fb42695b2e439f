"""One pod, in namespaces and in a machine: whatever its containers see and how they end is the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import firkin
from firkin.domain.container_spec import ResourceLimit
from firkin.domain.image import ImageBundle
from firkin.domain.process import ExitReason
from tests.integration.pod.pods import real_runtime, shell

from .lent_machine import lent_runtime
from .shared_machine import SharedMachine

pytestmark = pytest.mark.real_time

MIB = 2**20
_STATUS = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups|Uid|Gid)' /proc/self/status"
_FILES = (
    "umask; touch /made; mkdir /tmp/d; ln -s d /tmp/l; ls -ldn /made /tmp/d /tmp/l /tmp /etc/hosts | cut -c1-10;"
    " stat -c '%n %a %u:%g' /etc/passwd /bin/busybox /dev/null /dev/shm /proc/sys /v /made; ls -A / /dev;"
    " cat /v/file; readlink /proc/self/fd/0; echo no > /proc/sys/kernel/hostname"
)

_RLIMITS = "ulimit -n; ulimit -Hn; head -c 100000 /dev/zero > /f; stat -c %s /f"
_FORKS = "(while :; do sleep 1000 & done) 2>/dev/null; set -- /proc/[0-9]*; echo $(($# > 3 && $# < 13))"


def _containers(bundle: ImageBundle) -> list[firkin.PodContainerSpec]:
    limited = (ResourceLimit("RLIMIT_NOFILE", 100, 200), ResourceLimit("RLIMIT_FSIZE", 65536, 65536))
    return [
        shell("code", bundle, "echo out; echo err >&2; exit 7"),
        shell("environment", bundle, "env | sort; pwd; hostname; cat /etc/hosts /etc/hostname").env("A", "b c"),
        shell("user", bundle, f"id; {_STATUS}; touch /etc/x").user("app:2000").additional_groups(5),
        shell("root", bundle, f"id; {_STATUS}; mount -t tmpfs x /tmp; chown 5 /tmp; mknod /n c 1 3; : > /dev/full"),
        shell("rlimits", bundle, _RLIMITS).rlimits(*limited),
        shell("memory", bundle, "exec tail /dev/zero").limits(memory=16 * MIB),
        shell("pids", bundle, _FORKS).limits(pids=12),
        shell("volume", bundle, "head -c 3000000 /dev/zero > /v/f; stat -c %s /v/f").empty_dir_mount("tmpfs", "/v"),
        shell("files", bundle, _FILES).empty_dir_mount("data", "/v", read_only=True),
        shell("read-only", bundle, "touch /f /tmp/f /dev/shm/f; ls /f /dev/shm/f").read_only_rootfs(),
        shell("signals", bundle, "sh -c 'kill -USR1 $$'; echo $?; trap 'echo got; exit 4' TERM; kill $$; sleep 9"),
        shell("killed", bundle, "sleep 9999"),
    ]


async def _answers(runtime: firkin.Runtime, image: str) -> dict[str, firkin.Output]:
    bundle = await runtime.images.resolve(image)
    data = firkin.EmptyDirVolume("data", files=(firkin.VolumeFile("file", b"in the volume\n"),))
    builder = firkin.PodBuilder("pod-1").empty_dir(data).empty_dir(firkin.EmptyDirVolume.memory("tmpfs", MIB))
    containers = _containers(bundle)
    async with runtime.spawn(builder.build()) as pod:
        for container in containers:
            await pod.add_container(container)
        await pod.container("killed").kill(signal.SIGKILL)
        return {container.id: await pod.wait_container(container.id) for container in containers}


async def test_both_sandboxes_give_the_same_answers(
    tmp_path: Path, busybox_image: str, shared_machine: SharedMachine
) -> None:
    for name in ("n", "m"):  # sockets below need short paths
        (tmp_path / name).mkdir()
    async with real_runtime(tmp_path / "n") as runtime:
        in_namespaces = await _answers(runtime, busybox_image)
    async with lent_runtime(shared_machine, tmp_path / "m") as runtime:
        in_a_machine = await _answers(runtime, busybox_image)
    for name, expected in in_namespaces.items():
        assert in_a_machine[name] == expected, name
    # And they are answers: each container came to where it was sent.
    assert in_a_machine["code"] == firkin.Output(firkin.ExitStatus(7), b"out\n", b"err\n")
    assert in_a_machine["memory"].status.reason is ExitReason.OOM_KILLED
    assert in_a_machine["killed"].status == firkin.ExitStatus(137, 9, ExitReason.SIGNALED)
    assert b"uid=1000(app) gid=2000(extra)" in in_a_machine["user"].stdout
    assert (in_a_machine["signals"].status.code, in_a_machine["signals"].stdout) == (4, b"138\ngot\n")
