"""What every registry of pods promises, and what only files can have."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.adapters.memory import MemoryPodRegistry
from firkin.adapters.pod_registry_files import FilePodRegistry, PodLeftovers
from firkin.domain.errors import PodNameTaken
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.pod_registry import PodRegistry

POD = PodId("pod-1")


@pytest.fixture(params=["memory", "files"])
def firkin_pod_registry(request: pytest.FixtureRequest, tmp_path: Path) -> PodRegistry:
    return MemoryPodRegistry() if request.param == "memory" else FilePodRegistry(tmp_path / "state")


def _record(pod_id: PodId = POD, created: float = 1.0) -> PodRecord:
    return PodRecord(id=pod_id, created=created)


def _ended(registry: PodRegistry, pod_id: PodId = POD, created: float = 1.0) -> PodRecord:
    record = replace(_record(pod_id, created), phase=SupervisedPhase.EXITED)
    with registry.claimed(_record(pod_id, created)) as claimed:
        claimed.save(record)
    return record


class TestFiles:
    """What only files can have."""

    @pytest.fixture
    def pods(self, tmp_path: Path) -> Path:
        return tmp_path / "state" / "pods"

    @pytest.fixture
    def registry(self, tmp_path: Path) -> FilePodRegistry:
        return FilePodRegistry(tmp_path / "state")

    @pytest.fixture
    def leftovers(self, tmp_path: Path) -> PodLeftovers:
        return PodLeftovers(tmp_path / "state")

    def test_everything_is_the_users_alone(self, registry: FilePodRegistry, pods: Path) -> None:
        _ended(registry)
        for path, mode in ((pods, 0o700), (pods / POD, 0o700), (pods / POD / "pod.json", 0o600)):
            assert path.stat().st_mode & 0o777 == mode

    def test_a_registry_that_is_somebody_elses_is_refused_with_a_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "state" / "pods").mkdir(parents=True, mode=0o700)
        for path in (tmp_path, *tmp_path.parents[:2]):
            path.chmod(0o755)
        told = subprocess.run(
            [sys.executable, "-c", _LOOK_AS_NOBODY, str(tmp_path / "state")], capture_output=True, text=True, check=True
        )
        assert "FIRKIN_STATE_DIR" in told.stdout

    async def test_a_killed_holder_is_found_at_once_and_its_remains_are_tidied_up(
        self, registry: FilePodRegistry, leftovers: PodLeftovers, pods: Path
    ) -> None:
        with _holder(pods.parent) as process:
            assert registry.is_held(POD)
            assert await leftovers.found() == ()
            process.kill()
            process.wait()
            assert registry.record("pod-1").phase is SupervisedPhase.ABANDONED
            (leftover,) = await leftovers.found()
            assert await leftovers.remove(leftover) == ""
            assert await leftovers.found() == ()
        assert not (pods / POD / "control.sock").exists()
        assert registry.record("pod-1").phase is SupervisedPhase.ABANDONED
        registry.remove(POD)

    async def test_what_was_half_made_is_found_unless_its_maker_lives(
        self, leftovers: PodLeftovers, pods: Path
    ) -> None:
        for name in (".new-1", ".new-2", ".removed-3"):
            (pods / name).mkdir(parents=True)
        descriptor = os.open(pods / ".new-2", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        found = await leftovers.found()
        assert [Path(one.name).name for one in found] == [".new-1", ".removed-3"]
        assert [await leftovers.remove(one) for one in found] == ["", ""]
        os.close(descriptor)
        assert os.listdir(pods) == [".new-2"]

    async def test_a_pod_that_wanted_to_be_forgotten_is(
        self, registry: FilePodRegistry, leftovers: PodLeftovers, pods: Path
    ) -> None:
        with registry.claimed(replace(_record(), is_removed_at_end=True)):
            pass
        (leftover,) = await leftovers.found()
        assert await leftovers.remove(leftover) == ""
        assert os.listdir(pods) == []

    async def test_what_came_to_life_meanwhile_is_left_alone(
        self, registry: FilePodRegistry, leftovers: PodLeftovers
    ) -> None:
        with registry.claimed(_record()):
            pass
        (leftover,) = await leftovers.found()
        registry.remove(POD)
        with registry.claimed(_record()):
            assert await leftovers.remove(leftover) == ""
            assert registry.record("pod-1").phase is SupervisedPhase.STARTING

    @pytest.mark.parametrize("damage", [b"", b"\0", b"{}"])
    async def test_a_damaged_record_hides_the_pod_and_gc_removes_it(
        self, registry: FilePodRegistry, leftovers: PodLeftovers, pods: Path, damage: bytes
    ) -> None:
        _ended(registry)
        (pods / POD / "pod.json").write_bytes(damage)
        assert registry.records() == ()
        with pytest.raises(PodNameTaken, match="is damaged"):
            _ended(registry)
        (leftover,) = await leftovers.found()
        assert await leftovers.remove(leftover) == ""
        _ended(registry)

    def test_of_many_who_want_a_name_one_gets_it(self, registry: FilePodRegistry) -> None:
        start, outcomes = threading.Barrier(8), []

        def claim() -> None:
            start.wait()
            try:
                with registry.claimed(_record()):
                    outcomes.append("claimed")
                    done.wait()
            except PodNameTaken:
                outcomes.append("taken")

        done = threading.Event()
        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        done.set()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["claimed", *["taken"] * 7]


_LOOK_AS_NOBODY = """
import os, pathlib, sys
from firkin.adapters.pod_registry_files import FilePodRegistry
from firkin.domain.errors import PermissionMissing
registry = FilePodRegistry(pathlib.Path(sys.argv[1]))
os.setuid(65534)
try:
    registry.records()
except PermissionMissing as error:
    print(error)
"""

_HOLD = """
import pathlib, socket, sys
from firkin.adapters.pod_registry_files import FilePodRegistry
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord
with FilePodRegistry(pathlib.Path(sys.argv[1])).claimed(PodRecord(id=PodId("pod-1"))) as claimed:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{__import__('os').open(claimed.directory, 0)}/control.sock")
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _holder(state_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds pod-1."""
    command = [sys.executable, "-c", _HOLD, str(state_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()
