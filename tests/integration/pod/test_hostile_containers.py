"""Containers that do their worst, all at once: their pod and their neighbours go on, and nothing is left of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

import firkin
from firkin.domain.events import OutOfMemory
from firkin.errors import PathRefused
from tests.machine_state import MachineState, settled_state

from .pods import HANG_SECONDS, real_runtime, shell, speaks_agent_v1

pytestmark = pytest.mark.real_time

MIB = 2**20
ZOMBIES = 50
LOG_BYTES = 64 * 1024
_LOOKS = 100
_LOOK_SECONDS = 0.05
# Each is held to a share of the processor, so that the others get on; to a larger one where the test counts as well.
WORST = {
    "forks": "bomb() { bomb | bomb & }; bomb; sleep 1000",
    "eats": "while :; do tail /dev/zero; done 2>/dev/null",
    "floods": "yes",
    "ignores": "trap '' TERM INT HUP QUIT; while :; do sleep 1; done",
    # Three stay: for a moment without the link its name would be that of a directory like any other.
    "plants": (
        "cd /v; ln -s / root; ln -s ../../../.. up; ln -s /proc/1/root magic;"
        " while :; do ln -sfn / comes-and-goes; rm comes-and-goes; sleep 0.1; done"
    ),
    # Process 1 is then one that reaps nobody; before that none of them ends.
    "zombies": f"mkfifo /gate; for i in $(seq {ZOMBIES}); do (read line < /gate) & done; exec sleep 1000",
}
_CPUS = {"zombies": 0.5}
# What an ordinary user without control groups can let run: these take no more than their own time.
WORST_WITHOUT_LIMITS = ("floods", "ignores", "plants", "zombies")


@pytest.mark.needs_root
async def test_the_worst_containers_hurt_nobody_but_themselves(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        builder = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.memory("v", MIB))
        for name, script in WORST.items():
            worst = shell(name, bundle, script).limits(memory=16 * MIB, cpus=_CPUS.get(name, 0.1), pids=100)
            builder = builder.container(worst.log(LOG_BYTES).empty_dir_mount("v", "/v"))
        neighbour = shell("neighbour", bundle, "sleep 1000").empty_dir_mount("v", "/v", sub_path="mine")
        async with runtime.spawn(builder.container(neighbour).build()) as pod:
            await until_out_of_memory(pod)
            await until_zombies(pod.container("zombies"))
            report = await goes_on(pod, shell("victim", bundle, "true"))
        assert all(one.status is not None for one in report.containers)
    assert MachineState.now().beyond(before) == {}


@pytest.mark.needs_user
async def test_those_that_need_no_limit_hurt_nobody_but_themselves(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        builder = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.memory("v", MIB))
        for name in WORST_WITHOUT_LIMITS:
            builder = builder.container(shell(name, bundle, WORST[name]).log(LOG_BYTES).empty_dir_mount("v", "/v"))
        neighbour = shell("neighbour", bundle, "sleep 1000").empty_dir_mount("v", "/v", sub_path="mine")
        async with runtime.spawn(builder.container(neighbour).build()) as pod:
            await until_zombies(pod.container("zombies"))
            await goes_on(pod, shell("victim", bundle, "true"))
    assert MachineState.now().beyond(before) == {}


async def goes_on(pod: firkin.Pod, victim: firkin.PodContainerSpec) -> firkin.StopReport:
    """The neighbour answers, nothing leads out of the volume, and the pod stops within its grace."""
    for number in range(10):
        output = await (await pod.container("neighbour").exec("echo", str(number))).wait_with_output()
        assert output.stdout == f"{number}\n".encode()
    await refuse_planted_links(pod, victim)
    kept = [entry async for entry in pod.container("floods").logs()]
    assert 0 < sum(len(entry.data) for entry in kept) <= LOG_BYTES
    assert lasting_zombies_of_agents() == set()
    report = await pod.stop(grace_seconds=1)
    assert report.clean, report
    assert "ignores" in {one.container_id for one in report.containers if one.killed}
    return report


async def until_out_of_memory(pod: firkin.Pod) -> None:
    if not speaks_agent_v1():
        # No event tells it, but the container's counters do.
        async for sample in pod.container("eats").stats_stream(0.1):
            if sample.memory_events.oom_kill:
                return
    async with pod.events() as events:
        async for event in events:
            if isinstance(event, OutOfMemory) and event.container_id == "eats":
                return


async def until_zombies(container: firkin.Container) -> None:
    # An opening for both reading and writing, which waits for nobody, ends whoever waits at the gate.
    script = """
        until grep -q sleep /proc/1/comm; do sleep 0.1; done
        until [ $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l) -ge $0 ]; do : <> /gate; sleep 0.1; done
    """
    process = await container.exec("sh", "-c", script, str(ZOMBIES))
    assert (await process.wait_with_output()).status.success


async def refuse_planted_links(pod: firkin.Pod, victim: firkin.PodContainerSpec) -> None:
    """What the host writes, and what another container is shown, stays in the volume."""
    planted = await pod.container("plants").exec("sh", "-c", "until [ -L /v/magic ]; do sleep 0.05; done")
    assert (await planted.wait_with_output()).status.success
    for path in ("root", "up", "magic"):
        with pytest.raises(PathRefused):
            await pod.write_empty_dir_file("v", f"{path}/etc/planted", b"x")
        with pytest.raises(PathRefused):
            await pod.add_container(victim.empty_dir_mount("v", "/v", sub_path=f"{path}/etc"))


def lasting_zombies_of_agents() -> set[str]:
    """Those that stay: one that is found at the moment of its end is reaped at once."""
    left = zombies_of_agents()
    for _ in range(_LOOKS):
        if not left:
            break
        threading.Event().wait(_LOOK_SECONDS)
        left &= zombies_of_agents()
    return left


def zombies_of_agents() -> set[str]:
    """Processes that have ended and that an agent, whose children they are, has not reaped."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            command = Path(f"/proc/{parent}/cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if state == "Z" and b"firkin.vminitd" in command:
            found.add(entry.name)
    return found
