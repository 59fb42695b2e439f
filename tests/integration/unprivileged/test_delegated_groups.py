"""A user to whom control groups were delegated; run by `test_users.py` in a view of version 2 alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from tests.integration.pod.pods import real_runtime, shell

pytestmark = [pytest.mark.real_time, pytest.mark.needs_user]


def own_group() -> Path:
    return Path("/sys/fs/cgroup" + Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip())


async def test_delegated_groups_hold_containers_and_are_removed_with_the_pod(
    tmp_path: Path, busybox_image: str
) -> None:
    caller = own_group()
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, "sleep 1000 & echo ready; wait"))
        async with runtime.spawn(spec.build()) as pod:
            stdout = pod.container("main").stdout
            assert stdout is not None
            assert await stdout.read_line() == b"ready\n"
            (group,) = caller.parent.glob("**/container/main")
            assert len((group / "cgroup.procs").read_text().split()) == 2
            # Only a control group tells user and system time apart.
            assert (await pod.container("main").stats()).cpu.system_usec is not None
            assert len(await pod.container("main").processes()) == 2
            assert (await pod.stop(0)).clean
        assert [path for path in caller.parent.rglob("*") if path.is_dir()] == [caller]
