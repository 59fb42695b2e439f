"""Templates of a directory store: listed, and removed when no pod uses them."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firkin.adapters.store_directory import DirectoryPodStore, DirectoryTemplates
from firkin.domain.digest import Digest
from firkin.domain.ids import PodId
from firkin.domain.reclaiming import Reclaimable
from firkin.domain.store_spec import PodStoreSpec
from firkin.errors import PermissionMissing
from firkin.ports.reclaimable_space import ReclaimableSpace
from firkin.ports.store import TemplateHolder

pytestmark = pytest.mark.real_time

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def made(state_dir: Path, chain_id: Digest, size: int = 8192, used: float = 1000.0) -> Path:
    """A template as a pod makes it."""
    template = state_dir / "store/templates" / f"sha256-{chain_id.hex}"
    (template / "rootfs/deep/er").mkdir(parents=True)
    (template / "rootfs/deep/er/file").write_bytes(b"x" * size)
    os.link(template / "rootfs/deep/er/file", template / "rootfs/second-name")
    (template / "rootfs/link").symlink_to("/etc")
    (template / "rootfs/locked").mkdir(mode=0o000)
    (template / ".complete").touch()
    (state_dir / "store/.locks").mkdir(exist_ok=True)
    os.utime(template, (used, used))
    return template


async def items(state_dir: Path) -> dict[str, Reclaimable]:
    return {item.identity: item for item in await DirectoryTemplates(state_dir).items()}


async def test_a_store_that_does_not_exist_has_no_templates(tmp_path: Path) -> None:
    assert await DirectoryTemplates(tmp_path).items() == ()
    assert os.listdir(tmp_path) == []
    assert isinstance(DirectoryTemplates(tmp_path), ReclaimableSpace)
    assert isinstance(DirectoryPodStore(tmp_path), TemplateHolder)


async def test_templates_are_listed_with_their_size_and_last_use(tmp_path: Path) -> None:
    made(tmp_path, ONE, 50_000, 1000.0)
    (tmp_path / "store/templates/.staging-1").mkdir()
    (tmp_path / "store/templates/sha256-short").mkdir()

    (item,) = (await items(tmp_path)).values()

    assert (item.identity, item.last_used, item.held) == (ONE, 1000.0, "")
    assert 50_000 <= item.size_bytes < 100_000


async def test_a_layer_alone_tells_what_it_lies_on_and_a_whole_template_nothing(tmp_path: Path) -> None:
    for chain_id in (ONE, TWO):
        template = made(tmp_path, chain_id)
        (template / ".stack").write_text(ONE if chain_id == TWO else "")
    (template / ".complete").unlink()

    assert {identity: item.below for identity, item in (await items(tmp_path)).items()} == {ONE: "", TWO: ONE}

    (template / ".complete").touch()
    assert (await items(tmp_path))[TWO].below == ""


@pytest.mark.parametrize(
    ("note", "replaced"),
    [
        ('{"device":2}', {"device": 2}),
        ("{", {}),
        ("[1]", {}),
        ('{"device":"x"}', {}),
        ('{"a":1,' + " " * 9999 + '"b":2}', {}),
    ],
)
async def test_what_was_noted_of_a_template_is_told_and_nonsense_is_not(
    tmp_path: Path, note: str, replaced: dict[str, int]
) -> None:
    (made(tmp_path, ONE) / ".replaced").write_text(note)

    assert (await items(tmp_path))[ONE].replaced == replaced


async def test_a_template_that_nothing_uses_is_removed_whole(tmp_path: Path) -> None:
    for chain_id in (ONE, TWO):
        made(tmp_path, chain_id)
    item = (await items(tmp_path))[ONE]

    for _ in range(2):
        assert (await DirectoryTemplates(tmp_path).reclaim(item)).held == ""

    assert list(await items(tmp_path)) == [TWO]
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [".locks", "templates"]


async def test_a_store_of_its_own_path_is_pruned(tmp_path: Path) -> None:
    made(tmp_path, ONE)
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    templates = DirectoryTemplates(tmp_path / "unused", tmp_path / "elsewhere")

    (item,) = await templates.items()
    await templates.reclaim(item)

    assert await templates.items() == ()


async def test_a_template_that_a_pod_holds_stays_until_the_pod_ends(tmp_path: Path) -> None:
    for chain_id in (ONE, TWO):
        made(tmp_path, chain_id)
    before = await items(tmp_path)
    store, templates = DirectoryPodStore(tmp_path), DirectoryTemplates(tmp_path)
    async with store.opened(PodStoreSpec(), PodId("pod-1")) as medium:
        await store.hold_template(medium, PodId("pod-1"), ONE)

        assert (await items(tmp_path))[ONE].held == "pod pod-1 uses it"
        assert (await items(tmp_path))[ONE].last_used > 1_000_000
        # Also when it was looked at before the pod began.
        assert (await templates.reclaim(before[ONE])).held == "pod pod-1 uses it"
        assert (await templates.reclaim(before[TWO])).held == ""
        assert list(await items(tmp_path)) == [ONE]
    assert (await items(tmp_path))[ONE].held == ""


async def test_a_template_is_held_before_it_exists(tmp_path: Path) -> None:
    store = DirectoryPodStore(tmp_path)
    async with store.opened(PodStoreSpec(), PodId("pod-1")) as medium:
        await store.hold_template(medium, PodId("pod-1"), ONE)
        made(tmp_path, ONE)

        assert (await items(tmp_path))[ONE].held == "pod pod-1 uses it"


_CRASHING_POD = """
import asyncio, os, sys
from pathlib import Path
from firkin.adapters.store_directory import DirectoryPodStore
from firkin.domain.digest import Digest
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec

async def main():
    store = DirectoryPodStore(Path(sys.argv[1]))
    async with store.opened(PodStoreSpec(), PodId("crashed")) as medium:
        await store.hold_template(medium, PodId("crashed"), Digest.of(b"one"))
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_a_crashed_pod_holds_nothing_nor_does_the_next_of_its_id(tmp_path: Path) -> None:
    made(tmp_path, ONE)
    command = [sys.executable, "-c", _CRASHING_POD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert (await asyncio.to_thread(subprocess.run, command, env=environment)).returncode == -9
    assert ONE in (tmp_path / "store/.locks/crashed").read_text()

    async with DirectoryPodStore(tmp_path).opened(PodStoreSpec(), PodId("crashed")):
        assert (await items(tmp_path))[ONE].held == ""
    assert (await items(tmp_path))[ONE].held == ""


async def test_what_a_crash_left_in_the_locks_is_cleared_when_templates_are_listed(tmp_path: Path) -> None:
    made(tmp_path, ONE)
    (tmp_path / "store/.locks/gone").write_text(f"{ONE}\n")
    (tmp_path / "store/.locks/-no-id").write_text(f"{ONE}\n")

    assert (await items(tmp_path))[ONE].held == ""
    assert not (tmp_path / "store/.locks/gone").exists()


async def test_a_pod_that_begins_while_a_template_goes_waits_for_that(tmp_path: Path) -> None:
    made(tmp_path, ONE)
    store = DirectoryPodStore(tmp_path)
    async with store.opened(PodStoreSpec(), PodId("pod-1")) as medium, asyncio.TaskGroup() as group:
        with alone(tmp_path / "store/.locks"):
            holding = group.create_task(store.hold_template(medium, PodId("pod-1"), ONE))
            removing = group.create_task(DirectoryTemplates(tmp_path).reclaim((await items(tmp_path))[ONE]))
            for _ in range(20):
                await asyncio.sleep(0)
            assert not holding.done()
            assert not removing.done()
    # Whoever came first: either the pod holds it, or it is gone before the pod looks for it.
    assert bool(removing.result().held) == (tmp_path / "store/templates" / f"sha256-{ONE.hex}").exists()


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def test_pods_and_pruning_at_once_never_lose_a_template_in_use(tmp_path: Path) -> None:
    store, templates = DirectoryPodStore(tmp_path), DirectoryTemplates(tmp_path)
    turns = 30

    async def pods(name: str) -> None:
        for _ in range(turns):
            async with store.opened(PodStoreSpec(), PodId(name)) as medium:
                await store.hold_template(medium, PodId(name), ONE)
                template = medium.path / "templates" / f"sha256-{ONE.hex}"
                if not template.exists():
                    made(tmp_path, ONE)
                for _ in range(3):
                    await asyncio.sleep(0)
                    assert (template / "rootfs/deep/er/file").exists()

    async def pruning() -> None:
        for _ in range(turns * 3):
            for item in await templates.items():
                await templates.reclaim(item)

    async with asyncio.TaskGroup() as group:
        group.create_task(pods("pod-1"))
        group.create_task(pruning())
    template = tmp_path / "store/templates" / f"sha256-{ONE.hex}"
    if not template.exists():
        made(tmp_path, ONE)
    await pruning()
    assert not template.exists(), "the pods are gone, and pruning leaves what they no longer use"
    assert not list((tmp_path / "store").glob(".discarded-*"))


async def test_a_store_that_may_not_be_written_is_a_permission_error(tmp_path: Path) -> None:
    item = Reclaimable((await kind(tmp_path)).kind, ONE, 0, 0)
    with pytest.raises(PermissionMissing):
        await DirectoryTemplates(tmp_path, Path("/proc/firkin")).reclaim(item)


async def kind(tmp_path: Path) -> Reclaimable:
    made(tmp_path, ONE)
    return (await items(tmp_path))[ONE]
