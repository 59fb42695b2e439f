"""Statistics of a container that uses known amounts, by the kernel's own control groups of each kind that it shows."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from firkin.domain.statistics import ContainerStatistics
from firkin.vminitd.cgroup_statistics.hierarchy import group_of

from .agent_process import RunningAgent, make_rootfs, running_agent, runtime_spec
from .known_usage import CONTAINER, MEMORY_LIMIT, MIB, PROCESS_LIMIT, check_usage, told

pytestmark = pytest.mark.real_time

_GROUPS = Path("/sys/fs/cgroup")
_HERE = Path(__file__).parent


class _InNamespaces:
    """The container of an agent on this machine."""

    def __init__(self, agent: RunningAgent, rootfs: Path) -> None:
        self._agent = agent
        self._rootfs = rootfs
        self._count = 0

    async def begin(self, script: str) -> None:
        self._count += 1
        await self._agent.execute(CONTAINER, f"e{self._count}", runtime_spec(self._rootfs, "sh", "-c", script))

    async def execute(self, script: str) -> int:
        await self.begin(script)
        return (await self._agent.wait(CONTAINER, f"e{self._count}")).code

    async def statistics(self) -> tuple[ContainerStatistics, ContainerStatistics]:
        return await told(self._agent.v1, self._agent.context)


@contextlib.asynccontextmanager
async def _place(agent: RunningAgent, rootfs: Path) -> AsyncIterator[_InNamespaces]:
    await agent.start(CONTAINER, _limited_spec(rootfs))
    yield _InNamespaces(agent, rootfs)
    assert await agent.remove(CONTAINER) == []


def _limited_spec(rootfs: Path) -> bytes:
    spec = json.loads(runtime_spec(rootfs, "sleep", "999", memory_bytes=MEMORY_LIMIT))
    device = rootfs.stat().st_dev
    # Newer kernels count by version 1 what is written to a device that somebody has a limit for.
    limit = {"major": os.major(device), "minor": os.minor(device), "rate": 2**40}
    spec["linux"]["resources"] |= {"pids": {"limit": PROCESS_LIMIT}, "blockIO": {"throttleWriteBpsDevice": [limit]}}
    return json.dumps(spec).encode()


@pytest.fixture
def rootfs_on_a_disk(tmp_path: Path) -> Iterator[Path]:
    """A rootfs on a block device of its own, which limits may be set for."""
    image, mounted = tmp_path / "disk", tmp_path / "mounted"
    mounted.mkdir()
    with image.open("xb") as file:
        file.truncate(48 * MIB)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        yield make_rootfs(mounted / "rootfs")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@contextlib.contextmanager
def _own_groups(name: str) -> Iterator[None]:
    """Room for control groups of this name; what is left of them goes."""
    try:
        yield
    finally:
        for top in _GROUPS.glob(f"*/{name}"):
            for directory in sorted((path for path in (top, *top.rglob("*")) if path.is_dir()), reverse=True):
                directory.rmdir()


def _crun_in_both(directory: Path) -> Path:
    """By this name, as the agent knows runtimes by theirs."""
    path = directory / "crun"
    shutil.copy(_HERE / "crun_in_both.sh", path)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@contextlib.asynccontextmanager
async def _in_a_sandbox(directory: Path) -> AsyncIterator[tuple[RunningAgent, str]]:
    """Which shows version 1 where the host has it, alone or beside version 2; else version 2."""
    async with running_agent() as agent:
        yield agent, f"/container/{CONTAINER}"


@contextlib.asynccontextmanager
async def _beside_both_versions(directory: Path) -> AsyncIterator[tuple[RunningAgent, str]]:
    name = f"firkin-test-{os.getpid()}"
    launcher = ("sh", str(_HERE / "own_groups.sh"), name)
    runtime = ("--runtime", str(_crun_in_both(directory)))
    with _own_groups(name):
        async with running_agent(*runtime, launcher=launcher, is_init=False) as agent:
            yield agent, f"/{name}/container/{CONTAINER}"


def _versions(group: str) -> set[int]:
    """Those in whose groups the container is."""
    lists = [Path(one) for one in group_of(group).process_files()]
    # The runtime may not have ended yet.
    assert len(set.intersection(*(set(one.read_text().split()) for one in lists))) == 1
    return {int(one.with_name("cgroup.type").exists()) + 1 for one in lists}


_IN_A_SANDBOX = pytest.param(_in_a_sandbox, {2 if (_GROUPS / "cgroup.controllers").exists() else 1}, id="sandbox")
_BESIDE_BOTH = pytest.param(_beside_both_versions, {1, 2}, id="both versions")
_View = Callable[[Path], contextlib.AbstractAsyncContextManager[tuple[RunningAgent, str]]]


@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("view", "versions"), [_IN_A_SANDBOX, *([_BESIDE_BOTH] if (_GROUPS / "unified").is_dir() else [])]
)
async def test_both_services_tell_what_a_container_uses(
    view: _View, versions: set[int], tmp_path: Path, rootfs_on_a_disk: Path
) -> None:
    async with view(tmp_path) as (agent, group), _place(agent, rootfs_on_a_disk) as place:
        assert _versions(group) == versions
        await check_usage(place, counts_limits=versions == {2})
