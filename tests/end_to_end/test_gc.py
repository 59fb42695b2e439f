"""Processes of firkin that are killed, and what `firkin gc` and the next pod do about what they left."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from firkin.adapters.vmm_namespace.cgroups import group_directories, group_name

from .command import Command, finished

STORES = ["directory", pytest.param("ext4:64MiB", marks=pytest.mark.needs_root)]
WAITING = "echo ready; while :; do sleep 0.05; done"


def _start(firkin: Command, image: str, name: str, *options: str) -> None:
    assert firkin.run("run", "-d", "--name", name, *options, image, "sh", "-c", WAITING).code == 0
    firkin.until(lambda: b"ready" in firkin.run("logs", name).stdout)


def _kill_supervisor(firkin: Command, name: str) -> None:
    os.kill(firkin.registry.record(name).supervisor_pid, signal.SIGKILL)
    firkin.until(lambda: firkin.registry.record(name).phase == "abandoned")


def _remains(firkin: Command) -> list[str]:
    """Leftovers, but for the records of pods, which stay until they are removed."""
    pods = str(firkin.state_dir / "pods")
    return [one for one in firkin.leftovers() if not one.startswith(pods)]


@pytest.mark.parametrize("store", STORES)
def test_a_killed_supervisors_leavings_are_removed_and_living_pods_are_left_alone(
    firkin: Command, busybox_image: str, store: str
) -> None:
    _start(firkin, busybox_image, "living", "--store", store)
    _start(firkin, busybox_image, "killed", "--store", store)
    _kill_supervisor(firkin, "killed")
    assert "abandoned" in firkin.run("ps", "-a").stdout.decode()
    told = firkin.run("exec", "killed", "true")
    assert (told.code, "the supervisor of pod 'killed' was killed" in told.error()) == (125, True)
    dry = firkin.run("gc", "--dry-run")
    assert (dry.code, b"would remove" in dry.stdout, b"living" in dry.stdout) == (0, True, False)
    assert any("killed" in one for one in firkin.leftovers())
    done = firkin.run("gc")
    assert (done.code, done.stderr, b"removed sandbox" in done.stdout) == (0, "", True)
    assert firkin.run("gc").stdout == b"nothing is left over\n"
    assert not any("killed" in one for one in _remains(firkin))
    assert firkin.run("logs", "killed").stdout == b"ready\n"
    assert firkin.run("exec", "living", "true").code == 0
    assert firkin.run("wait", "killed").code == 1
    assert firkin.run("rm", "killed").code == 0
    assert firkin.run("rm", "-f", "living").code == 0


def _has(directory: Path, pattern: str) -> bool:
    return any(True for _ in directory.glob(pattern))


_MOMENTS: dict[str, Callable[[Command], bool]] = {
    "it is entered": lambda firkin: bool(firkin.registry.records()),
    "its sockets have a place": lambda firkin: _has(firkin.runtime_dir, "*"),
    "its agent listens": lambda firkin: _has(firkin.runtime_dir, "*/guest-1024.sock"),
    "its store is made": lambda firkin: (
        _has(firkin.state_dir, "store/pods/*") or _has(firkin.state_dir, "pod-stores/*")
    ),
    "its container writes": lambda firkin: _has(firkin.state_dir, "pods/*/logs/*"),
}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("moment", list(_MOMENTS))
def test_a_supervisor_may_be_killed_at_any_moment(firkin: Command, busybox_image: str, moment: str, store: str) -> None:
    arguments = ("run", "-d", "--name", "killed", "--store", store, busybox_image, "sh", "-c", WAITING)
    with firkin.started(*arguments) as command:
        firkin.until(lambda: _MOMENTS[moment](firkin) and bool(firkin.registry.records()))
        os.kill(firkin.registry.record("killed").supervisor_pid, signal.SIGKILL)
        told = finished(command)
    assert told.code == 0 or "`firkin gc` removes what it left" in told.error()
    assert firkin.run("gc").code == 0
    # A program that the supervisor ran at that moment, such as mke2fs, ends by itself.
    firkin.until_gone(lambda: _remains(firkin))
    assert firkin.run("gc").stdout == b"nothing is left over\n"
    assert firkin.run("rm", "killed").code == 0


def test_a_sandbox_that_hangs_is_killed(firkin: Command, busybox_image: str) -> None:
    _start(firkin, busybox_image, "hung")
    for pid in _processes_of(firkin, "firkin.vminitd"):
        os.kill(pid, signal.SIGSTOP)
    _kill_supervisor(firkin, "hung")
    done = firkin.run("gc")
    assert (done.code, done.stderr) == (0, "")
    assert _remains(firkin) == []
    assert firkin.run("rm", "hung").code == 0


def _processes_of(firkin: Command, word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if word in command and str(firkin.runtime_dir) in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("store", STORES)
def test_a_killed_foreground_run_is_tidied_up_as_well(firkin: Command, busybox_image: str, store: str) -> None:
    with firkin.started("run", "--store", store, busybox_image, "sh", "-c", WAITING) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        command.kill()
        command.wait()
    found = json.loads(firkin.run("gc", "--json").stdout)
    assert {one["kind"] for one in found} >= {"sandbox"}
    assert [one["problem"] for one in found if one["problem"]] == []
    assert firkin.run("gc").stdout == b"nothing is left over\n"


def _runs(sandbox: Path) -> bool:
    """Whether its groups still hold processes: the kernel takes their command lines first when it ends them."""
    groups = group_directories(group_name(sandbox))
    return any(processes.read_text() for group in groups for processes in group.rglob("cgroup.procs"))


def test_the_next_pod_tidies_up(firkin: Command, busybox_image: str) -> None:
    _start(firkin, busybox_image, "killed")
    sandboxes = list(firkin.runtime_dir.iterdir())
    _kill_supervisor(firkin, "killed")
    # Those whose last processes still end are left for the next one after it.
    firkin.until(lambda: _processes_of(firkin, "firkin.vminitd") == [] and not any(map(_runs, sandboxes)))
    assert firkin.run("run", busybox_image, "true").code == 0
    assert not any(path.exists() for path in sandboxes)
    assert not (firkin.state_dir / "store" / "pods" / "killed").exists()
    assert firkin.run("rm", "killed").code == 0


@pytest.mark.parametrize("store", STORES)
def test_rm_of_an_abandoned_pod_removes_everything(firkin: Command, busybox_image: str, store: str) -> None:
    _start(firkin, busybox_image, "killed", "--store", store)
    _kill_supervisor(firkin, "killed")
    assert firkin.run("rm", "killed").code == 0
    assert firkin.leftovers() == []


def test_rm_by_force_removes_a_pod_whose_supervisor_answers_nobody(firkin: Command, busybox_image: str) -> None:
    _start(firkin, busybox_image, "stopped")
    os.kill(firkin.registry.record("stopped").supervisor_pid, signal.SIGSTOP)
    done = firkin.run("rm", "-f", "stopped")
    assert (done.code, done.stdout) == (0, b"stopped\n"), done
    assert firkin.leftovers() == []
