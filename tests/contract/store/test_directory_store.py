"""Directory stores: shared by pods, keeping templates and nothing else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from firkin.adapters.store_directory import DirectoryPodStore
from firkin.domain.errors import ConfigurationError, PermissionMissing, PodExists
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec
from tests.descriptors import open_descriptors, opened_since

pytestmark = pytest.mark.real_time

_SPEC = PodStoreSpec()


def _fill(pod: Path) -> None:
    """What a pod may leave: directories that cannot be read, links out of it, a special file."""
    (pod / "containers" / "c" / "work" / "work").mkdir(parents=True)
    (pod / "containers" / "c" / "work" / "work").chmod(0)
    (pod / "emptydir" / "data").mkdir(parents=True)
    (pod / "emptydir" / "data" / "link").symlink_to("/etc")
    os.mkfifo(pod / "emptydir" / "data" / "fifo")


def _template(store: Path) -> Path:
    template = store / "templates" / ("sha256-" + "0" * 64) / "rootfs"
    template.mkdir(parents=True)
    (template / "file").write_text("template")
    return template


async def test_leaving_removes_what_the_pod_left_and_keeps_templates(tmp_path: Path) -> None:
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")) as medium:
        _fill(medium.path / "pods" / "pod-1")
        template = _template(medium.path)
    assert list((medium.path / "pods").iterdir()) == []
    assert (template / "file").read_text() == "template"
    assert sorted(path.name for path in medium.path.iterdir()) == [".locks", "pods", "templates"]
    assert list((medium.path / ".locks").iterdir()) == []


async def test_pods_share_a_store_and_each_removes_its_own(tmp_path: Path) -> None:
    store = DirectoryPodStore(tmp_path)
    async with store.opened(_SPEC, PodId("pod-1")) as first:
        _fill(first.path / "pods" / "pod-1")
        async with store.opened(_SPEC, PodId("pod-2")) as second:
            assert second == first
            _fill(second.path / "pods" / "pod-2")
        assert [path.name for path in (first.path / "pods").iterdir()] == ["pod-1"]


async def test_the_same_pod_id_is_refused_while_it_runs(tmp_path: Path) -> None:
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")):
        with pytest.raises(PodExists) as caught:
            await _open_and_leave(tmp_path, "pod-1")
    assert caught.value.pod_id == "pod-1"


async def _open_and_leave(state_dir: Path, pod_id: str, spec: PodStoreSpec = _SPEC) -> Path:
    async with DirectoryPodStore(state_dir).opened(spec, PodId(pod_id)) as medium:
        return medium.path


async def test_removal_follows_no_link_that_stands_where_the_pod_should(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").touch()
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")) as medium:
        (medium.path / "pods").mkdir()
        (medium.path / "pods" / "pod-1").symlink_to(victim)
    assert (victim / "file").exists()
    assert list((medium.path / "pods").iterdir()) == []


async def test_a_tree_deeper_than_any_recursion_is_removed(tmp_path: Path) -> None:
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")) as medium:
        pod = medium.path / "pods" / "pod-1"
        pod.mkdir(parents=True)
        await asyncio.to_thread(_dig, pod, 1500)
    assert list((medium.path / "pods").iterdir()) == []


def _dig(directory: Path, depth: int) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 100, dir_fd=descriptor)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


_CRASHING_OWNER = """
import asyncio, os, sys
from pathlib import Path
from firkin.adapters.store_directory import DirectoryPodStore
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec

async def main():
    async with DirectoryPodStore(Path(sys.argv[1])).opened(PodStoreSpec(), PodId("crashed")) as medium:
        (medium.path / "pods" / "crashed" / "containers").mkdir(parents=True)
        (medium.path / "templates" / ".staging-1").mkdir(parents=True)
        (medium.path / ".discarded-1").mkdir()
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


def _crash(state_dir: Path) -> None:
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", _CRASHING_OWNER, str(state_dir)]
    finished = subprocess.run(command, env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert finished.returncode == -9, finished.stderr


async def test_the_next_pod_removes_what_a_crashed_owner_left(tmp_path: Path) -> None:
    await asyncio.to_thread(_crash, tmp_path)
    store = tmp_path / "store"
    assert (store / "pods" / "crashed").exists()
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")):
        assert list((store / "pods").iterdir()) == []
        assert list((store / "templates").iterdir()) == []
        assert [path.name for path in (store / ".locks").iterdir()] == ["pod-1"]
        assert not list(store.glob(".discarded-*"))


async def test_a_crashed_pods_id_is_free_again(tmp_path: Path) -> None:
    await asyncio.to_thread(_crash, tmp_path)
    await _open_and_leave(tmp_path, "crashed")


async def test_half_made_templates_stay_while_another_pod_may_be_making_them(tmp_path: Path) -> None:
    async with DirectoryPodStore(tmp_path).opened(_SPEC, PodId("builder")) as medium:
        staging = medium.path / "templates" / ".staging-1"
        staging.mkdir(parents=True)
        await _open_and_leave(tmp_path, "pod-2")
        assert staging.exists()


_FULL_STORE = """
import asyncio, errno, sys
from pathlib import Path
from firkin.adapters.store_directory import DirectoryPodStore
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec

def fill(pod):
    pod.mkdir(parents=True)
    for number in range(1000):
        inner = pod / str(number) / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()

async def main(path):
    async with DirectoryPodStore(path).opened(PodStoreSpec.at(path), PodId("pod-1")) as medium:
        try:
            fill(medium.path / "pods" / "pod-1")
        except OSError as error:
            print(errno.errorcode[error.errno])
    print([entry.name for entry in (path / "pods").iterdir()], sorted(entry.name for entry in path.iterdir()))

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_full_store_is_emptied_all_the_same(tmp_path: Path) -> None:
    mounted = 'mount -t tmpfs -o nr_inodes=64 tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ("unshare", "--mount", "sh", "-c", mounted, "sh", str(tmp_path), sys.executable, _FULL_STORE)
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]}
    result = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["ENOSPC", "[] ['.locks', 'pods']"]


async def test_a_store_is_private(tmp_path: Path) -> None:
    assert (await _open_and_leave(tmp_path, "pod-1")).stat().st_mode & 0o777 == 0o700


async def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigurationError, match="not a directory"):
            await _open_and_leave(tmp_path, "pod-1", PodStoreSpec.at(path))


async def test_a_directory_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermissionMissing):
        await _open_and_leave(tmp_path, "pod-1", PodStoreSpec.at("/proc/firkin"))


async def test_two_ways_to_name_a_store_are_one_store(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store")
    (tmp_path / "store").mkdir()
    async with (
        DirectoryPodStore(tmp_path).opened(_SPEC, PodId("pod-1")) as direct,
        DirectoryPodStore(tmp_path).opened(PodStoreSpec.at(tmp_path / "link"), PodId("pod-2")) as linked,
    ):
        assert direct.identity == linked.identity


async def test_thirty_pods_at_once_and_one_after_the_other_leave_no_descriptor(tmp_path: Path) -> None:
    await _open_and_leave(tmp_path, "warm-up")
    before = open_descriptors()
    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(_open_and_leave(tmp_path, f"pod-{number}"))
    assert not opened_since(before)
