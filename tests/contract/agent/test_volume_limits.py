"""Size limits of emptyDirs on disk, by what the agent can do: enforced, or refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.domain.errors import Outcome, UnsupportedFeature, VolumeFull
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.volumes import EmptyDirVolume
from firkin.ports.agent_containers import OverlayRequest
from firkin.ports.agent_pods import PodPreparation
from firkin.wire import agent_pb2 as wire

from .roads import AGENT_V1, MEMORY, SANDBOX_CONTEXT, Road
from .scripted_agent import scripted

pytestmark = pytest.mark.real_time

MIB = 2**20
LIMITED = (EmptyDirVolume.disk("work", MIB),)
PREPARATION = PodPreparation(
    PodId("p"), Mount.bind("/store", "/run/firkin/pod-store"), StoreLayout(), LIMITED
)  # fmt: skip


@pytest.mark.parametrize("name", [MEMORY, AGENT_V1, SANDBOX_CONTEXT])
async def test_an_agent_that_can_holds_a_volume_on_disk_to_its_limit(name: str, tmp_path: Path) -> None:
    async with Road(name, tmp_path).opened() as it:
        preparation = replace(it.preparation, pod_id=PodId("pod-1"), volumes=LIMITED)
        await it.agent.tear_down_pod(it.preparation)
        await it.agent.prepare_pod(preparation)
        work = GuestPath(it.volume("work"))
        assert MIB <= (await it.agent.usage(work)).available_bytes < MIB * 1.03
        await it.agent.write_file(work, "file", bytes(MIB))
        assert (await it.agent.usage(work)).available_bytes < MIB * 0.03
        assert list(await it.agent.tear_down_pod(preparation)) == []


@pytest.mark.parametrize(
    "preparation",
    [
        PREPARATION,
        replace(PREPARATION, volumes=(replace(EmptyDirVolume.memory("work"), group_id=7),)),
        replace(PREPARATION, volumes=(), shares_processes=True),
    ],
)
async def test_an_agent_that_is_not_firkins_is_not_asked_for_what_it_cannot_do(
    preparation: PodPreparation, tmp_path: Path
) -> None:
    async with scripted(tmp_path, knows_agent_v1=False) as it:
        with pytest.raises(UnsupportedFeature, match="this guest agent") as refused:
            await it.agent.prepare_pod(preparation)
        assert refused.value.outcome is not Outcome.MAY_HAVE
        assert it.script.called == []


async def test_an_agent_from_before_such_limits_is_not_asked(tmp_path: Path) -> None:
    async with scripted(tmp_path, answers={"PreparePod": wire.PreparePodResponse()}) as it:
        with pytest.raises(UnsupportedFeature, match="too old"):
            await it.agent.prepare_pod(PREPARATION)
        assert "PreparePod" not in it.script.called
        await it.agent.prepare_pod(replace(PREPARATION, volumes=(EmptyDirVolume.disk("work"),)))
        assert "PreparePod" in it.script.called


async def test_an_agent_from_before_limits_of_writable_layers_is_not_asked(tmp_path: Path) -> None:
    base = OverlayLayout(GuestPath("/store/pods/p/containers/c"))
    request = OverlayRequest(ContainerId("c"), base, GuestPath("/store/templates/t/rootfs"), MIB)
    async with scripted(tmp_path, answers={"PrepareOverlay": wire.PrepareOverlayResponse()}) as it:
        with pytest.raises(UnsupportedFeature, match=r"writable layer.*too old") as refused:
            await it.agent.prepare_overlay(request)
        assert refused.value.outcome is Outcome.DID_NOT
        assert "PrepareOverlay" not in it.script.called
        await it.agent.prepare_overlay(replace(request, limit_bytes=None))
        assert "PrepareOverlay" in it.script.called


def test_a_full_volume_is_told_apart_from_a_full_store() -> None:
    error = VolumeFull("work", MIB, "file")
    assert (error.volume, error.size_limit, error.path) == ("work", MIB, "file")
    assert "emptyDir 'work' is full" in str(error)
