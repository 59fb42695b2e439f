"""What layers may amount to, where the host wants it otherwise than the agent, over both services."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.domain.errors import InvalidArgument, LayerRefused, Outcome, UnsupportedFeature
from firkin.domain.layout import StoreLayout

from .roads import AGENT_V1, SANDBOX_CONTEXT, Road, busybox_bundle
from .scripted_agent import scripted

pytestmark = pytest.mark.real_time


@pytest.fixture(params=[AGENT_V1, SANDBOX_CONTEXT])
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_layer_beyond_a_limit_of_the_host_is_refused_and_leaves_no_template(
    service: str, tmp_path: Path
) -> None:
    async with Road(service, tmp_path, layer_limits={"entries": 1, "tar_bytes": 2**20}).opened() as it:
        with pytest.raises(LayerRefused, match=r"more than 1 entries|larger than 1048576 bytes"):
            await it.agent.ensure_template(it.bundle, it.layout)
    async with Road(service, tmp_path, layer_limits={"entries": 10**6}).opened() as it:
        assert (await it.agent.ensure_template(it.bundle, it.layout)).created


async def test_a_limit_that_the_agent_does_not_know_is_refused(service: str, tmp_path: Path) -> None:
    async with Road(service, tmp_path, layer_limits={"colours": 7}).opened() as it:
        with pytest.raises(InvalidArgument, match="no limit 'colours' of layers; there are: entries, "):
            await it.agent.ensure_template(it.bundle, it.layout)


@pytest.mark.parametrize("knows_agent_v1", [True, False])
async def test_an_agent_from_before_such_limits_is_not_asked(tmp_path: Path, knows_agent_v1: bool) -> None:
    bundle = await busybox_bundle()
    async with scripted(tmp_path, knows_agent_v1=knows_agent_v1, layer_limits={"entries": 1}) as it:
        with pytest.raises(UnsupportedFeature, match="limiting layers") as refused:
            await it.agent.ensure_template(bundle, StoreLayout())
        assert refused.value.outcome is Outcome.DID_NOT
        assert not {"EnsureTemplate", "ApplyOciLayer", "Mkdir"} & set(it.script.called)
