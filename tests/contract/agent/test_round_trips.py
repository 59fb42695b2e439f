"""How many calls each operation takes on each road, and which."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.process import ProcessRef
from firkin.domain.volumes import EmptyDirVolume
from firkin.ports.agent_containers import ContainerLaunch, OverlayRequest
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_processes import ProcessLaunch
from firkin.testkit.launches import NO_STREAMS
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context_wire

from .scripted_agent import Connected, Context, scripted

pytestmark = pytest.mark.real_time

LAYOUT = StoreLayout()
POD, CONTAINER = PodId("p"), ContainerId("c")
OVERLAY = OverlayRequest(CONTAINER, LAYOUT.overlay(POD, CONTAINER), GuestPath("/lower"))
LAUNCH = ContainerLaunch(CONTAINER, b"{}", NO_STREAMS, OVERLAY)
EXEC = ProcessLaunch(ProcessRef("c", "e"), b"{}", NO_STREAMS)
VOLUMES = (EmptyDirVolume.disk("d"), EmptyDirVolume.memory("m", 4096))
PREPARATION = PodPreparation(POD, Mount("/from/the/sandbox", "ext4", "/dev/vda", ("rw",)), LAYOUT, VOLUMES)


async def test_over_agent_v1_each_operation_is_one_call(tmp_path: Path) -> None:
    answers = {
        name: getattr(wire, f"{name}Response")()
        for name in (
            "PreparePod",
            "PrepareOverlay",
            "StartContainer",
            "StartProcess",
            "WaitProcess",
            "KillProcess",
            "RemoveProcess",
            "RemoveContainer",
            "Trim",
            "TearDownPod",
        )
    }
    async with scripted(tmp_path, answers=answers) as it:
        it.script.called.clear()
        await it.agent.info()
        await it.agent.prepare_pod(PREPARATION)
        await it.agent.prepare_overlay(OVERLAY)
        await it.agent.start_container(LAUNCH)
        await it.agent.start_process(EXEC)
        await it.agent.wait_process(EXEC.ref)
        await it.agent.kill_process(EXEC.ref, 9)
        await it.agent.remove_process(EXEC.ref)
        await it.agent.remove_container(CONTAINER, OVERLAY.layout)
        await it.agent.trim(LAYOUT.mount)
        await it.agent.tear_down_pod(PREPARATION)
    assert it.script.called == list(answers)


async def test_over_sandbox_context_a_fresh_machine_is_set_up_first(tmp_path: Path) -> None:
    mounted: set[str] = set()
    mounts: list[context_wire.MountRequest] = []
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        _script_filesystem(it, mounted, mounts)
        await it.agent.prepare_pod(PREPARATION)
    assert [(mount.type, mount.destination) for mount in mounts] == [
        ("tmpfs", "/tmp"),
        ("devpts", "/dev/pts"),
        ("ext4", LAYOUT.mount),
        ("tmpfs", f"{LAYOUT.mount}/pods/p/emptydir/m"),
    ]
    assert (mounts[2].source, list(mounts[2].options)) == ("/dev/vda", ["rw"])
    assert "size=4096" in mounts[3].options
    changes = [name.removeprefix("SandboxContext/") for name in it.script.called if not name.endswith("/Stat")]
    standard = "Mkdir Mkdir Mount Mount IpLinkSet"
    store = "Mkdir Mount RemovePath Mkdir Mkdir Mkdir"
    volumes = "Mkdir Mkdir Mount"
    assert " ".join(changes) == f"{standard} {store} {volumes}"


async def test_over_sandbox_context_a_container_takes_six_calls_and_its_removal_unmounts_before_it_deletes(
    tmp_path: Path,
) -> None:
    mounted: set[str] = {"/dev/pts"}
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        _script_filesystem(it, mounted, [])
        await it.agent.start_container(LAUNCH)
        assert _names(it) == ["Mkdir", "Mkdir", "Mkdir", "Mount", "CreateProcess", "StartProcess"]
        it.script.called.clear()
        assert list(await it.agent.remove_container(CONTAINER, OVERLAY.layout)) == []
        wanted = ["KillProcess", "DeleteProcess", "Stat", "Stat", "Umount", "Stat", "Stat", "RemovePath"]
        assert _names(it) == wanted


async def test_over_sandbox_context_an_overlay_that_stays_mounted_is_not_removed(tmp_path: Path) -> None:
    mounted: set[str] = {OVERLAY.layout.merged}
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        _script_filesystem(it, mounted, [])
        it.script.answer("SandboxContext/Umount", context_wire.UmountResponse())  # as if, but it stays
        problems = await it.agent.remove_container(CONTAINER, OVERLAY.layout)
        assert "busy" in problems[0]
        assert "SandboxContext/RemovePath" not in it.script.called


def _names(it: Connected) -> list[str]:
    return [name.removeprefix("SandboxContext/") for name in it.script.called]


def _script_filesystem(it: Connected, mounted: set[str], mounts: list[context_wire.MountRequest]) -> None:
    """Answer everything; a path has a device of its own exactly when it is mounted."""
    for name in ("Mkdir", "RemovePath", "IpLinkSet", "CreateProcess", "StartProcess", "KillProcess", "DeleteProcess"):
        it.script.answer(f"SandboxContext/{name}", getattr(context_wire, f"{name}Response")())

    async def stat(data: bytes, _: Context) -> context_wire.StatResponse:
        path = context_wire.StatRequest.FromString(data).path
        depth = sum(path == point or path.startswith(f"{point}/") for point in mounted)
        return context_wire.StatResponse(stat=context_wire.Stat(dev=depth + 1))

    async def mount(data: bytes, _: Context) -> context_wire.MountResponse:
        mounts.append(context_wire.MountRequest.FromString(data))
        mounted.add(mounts[-1].destination)
        return context_wire.MountResponse()

    async def unmount(data: bytes, _: Context) -> context_wire.UmountResponse:
        mounted.discard(context_wire.UmountRequest.FromString(data).path)
        return context_wire.UmountResponse()

    it.script.on("SandboxContext/Stat", stat)
    it.script.on("SandboxContext/Mount", mount)
    it.script.on("SandboxContext/Umount", unmount)
