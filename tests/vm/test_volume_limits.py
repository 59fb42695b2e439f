"""Size limits of emptyDirs in machines of their own: what the tests in the machine of all, test_pods.py, leave out."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

import firkin
from firkin.domain.errors import BootFailed
from tests.integration.pod import test_volume_limits
from tests.integration.pod.test_volume_limits import test_when_the_agent_dies_its_volumes_go_with_it
from tests.machine_state import MachineState, settled_state

from .killed_agent import kill_agent_from_within
from .machines import BOOT_SECONDS, SMALL, machine_runtime, small_machine

__all__ = ["test_when_the_agent_dies_its_volumes_go_with_it"]

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def in_a_machine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test of namespaces, unchanged, have a machine that may die, and kill the agent within it."""

    def real_runtime(directory: Path, store: str) -> AbstractAsyncContextManager[firkin.Runtime]:
        assert store == "ext4"
        return machine_runtime(directory)

    async def kill_its_agent(pod: firkin.Pod, bundle: firkin.ImageBundle) -> None:
        await kill_agent_from_within(pod, bundle, "limited")

    monkeypatch.setattr(test_volume_limits, "real_runtime", real_runtime)
    monkeypatch.setattr(test_volume_limits, "builder", lambda: firkin.PodBuilder("pod-1", small_machine()))
    monkeypatch.setattr(test_volume_limits, "kill_its_agent", kill_its_agent)


async def test_a_machine_whose_kernel_cannot_enforce_a_limit_does_not_boot_and_nothing_is_left(tmp_path: Path) -> None:
    # What enforcing takes is the guest image's own. Without the program there is no image (test_guest_image.py);
    # without the driver, which this kernel must not load, there is no machine.
    before = await settled_state()
    without = firkin.VmConfig(
        memory=SMALL, command_line_extra=("module_blacklist=loop",), boot_timeout_seconds=BOOT_SECONDS
    )
    async with machine_runtime(tmp_path) as runtime:
        assert runtime.capabilities()["disk emptyDir size limit"].promise == "enforced"
        limited = firkin.PodBuilder("pod-1", without).empty_dir(test_volume_limits.volume("disk"))
        with pytest.raises(BootFailed) as failed:
            await runtime.spawn(limited.build())
        assert "firkin: the kernel does not take the module loop" in failed.value.console_tail
    assert MachineState.now().beyond(before) == {}
    assert not list((tmp_path / "state").glob("pod-stores/*"))
