"""Images of several layers, over both services of vminitd and over both on one store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from firkin.domain.digest import Digest, chain_ids
from firkin.domain.errors import BlobCorrupt, LayerRefused
from firkin.domain.image import ImageBundle, Layer
from firkin.domain.process import ExitStatus
from firkin.domain.stages import TEMPLATE_STAGES
from firkin.ports.agent_templates import TemplateProgress
from tests.integration.layers.archives import archive, directory, file

from .roads import AGENT_V1, OUTPUT_PIPED, SANDBOX_CONTEXT, OpenAgent, Road, everything, init_of

pytestmark = pytest.mark.real_time

PLAIN_TAR = "application/vnd.oci.image.layer.v1.tar"
MIDDLE = archive(directory("data"), file("data/a", b"middle"), file("data/b", b"middle"))
# `data` is only implied here.
TOP = archive(file("data/a", b"top"), file("data/.wh.b", b""), file("bin/.wh.garbage", b""))
OTHER = archive(file("data/c", b"other"))


@pytest.fixture(params=[AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


def on_top(it: OpenAgent, directory: Path, tars: Sequence[bytes]) -> ImageBundle:
    """The image of `it` with further layers."""
    blobs = [(each.path, each.digest, each.size_bytes, each.media_type) for each in it.bundle.layers]
    diff_ids = [each.diff_id for each in it.bundle.layers]
    for tar in tars:
        digest = Digest.of(tar)
        path = directory / digest.hex
        path.write_bytes(tar)
        blobs.append((path, digest, len(tar), PLAIN_TAR))
        diff_ids.append(digest)
    layers = tuple(
        Layer(path, digest, diff_id, chain_id, size, media_type)
        for (path, digest, size, media_type), diff_id, chain_id in zip(
            blobs, diff_ids, chain_ids(diff_ids), strict=True
        )
    )
    return msgspec.structs.replace(it.bundle, layers=layers)


async def said(it: OpenAgent, container_id: str, command: str) -> bytes:
    """What a command says in a container of the image; the container is removed then."""
    started = await it.started(container_id, "/bin/sh", "-c", command, stdio=OUTPUT_PIPED)
    output = await everything(started.streams.stdout)
    assert await it.agent.wait_process(init_of(container_id)) == ExitStatus(0)
    await it.removed(container_id)
    return output


async def shows_all_layers(it: OpenAgent, container_id: str) -> bool:
    """True when a container of the image is what its three layers say."""
    output = await said(it, container_id, "cat /data/a; ls /data; ls /bin/garbage 2>/dev/null; echo x > /data/a")
    return output == b"topa\n"


async def test_a_container_is_what_all_layers_say(road: Road, tmp_path: Path) -> None:
    async with road.opened() as it:
        it.bundle = on_top(it, tmp_path, [MIDDLE, TOP])
        result = await it.agent.ensure_template(it.bundle, it.layout)
        assert result.created
        assert not (await it.agent.ensure_template(it.bundle, it.layout)).created
        assert await shows_all_layers(it, "c")
        # What one container writes is not another's.
        assert await shows_all_layers(it, "d")
        assert list(await it.agent.tear_down_pod(it.preparation)) == []


async def test_a_layer_that_is_broken_leaves_no_template(road: Road, tmp_path: Path) -> None:
    async with road.opened() as it:
        image = on_top(it, tmp_path, [MIDDLE, TOP])
        (tmp_path / Digest.of(MIDDLE).hex).write_bytes(MIDDLE[:-512] + bytes(511) + b"x")
        with pytest.raises(BlobCorrupt):
            await it.agent.ensure_template(image, it.layout)
        assert list((road.store / "templates").iterdir()) == []


@pytest.mark.parametrize(("first", "second"), [(AGENT_V1, SANDBOX_CONTEXT), (SANDBOX_CONTEXT, AGENT_V1)])
async def test_templates_of_either_service_do_for_the_other(first: str, second: str, tmp_path: Path) -> None:
    for number, name in enumerate((first, second, first)):
        async with Road(name, tmp_path).opened() as it:
            it.bundle = on_top(it, tmp_path, [MIDDLE, TOP])
            assert await shows_all_layers(it, f"c{number}")
            assert list(await it.agent.tear_down_pod(it.preparation)) == []


async def test_a_layer_that_is_in_use_outlives_a_flat_template_beside_it(tmp_path: Path) -> None:
    async with Road(AGENT_V1, tmp_path).opened() as it:
        it.bundle = on_top(it, tmp_path, [MIDDLE, TOP])
        await it.agent.ensure_template(it.bundle, it.layout)
    template = tmp_path / "store" / "templates" / f"sha256-{it.bundle.chain_id.hex}"
    assert (template / "diff/data/a").exists()
    async with Road(SANDBOX_CONTEXT, tmp_path).opened() as it:
        it.bundle = on_top(it, tmp_path, [MIDDLE, TOP])
        assert (await it.agent.ensure_template(it.bundle, it.layout)).created
    assert sorted(path.name for path in template.iterdir()) == [".complete", ".stack", "diff", "rootfs"]


async def test_images_that_share_layers_share_them_on_the_store(tmp_path: Path) -> None:
    road = Road(AGENT_V1, tmp_path)
    async with road.opened() as it:
        one, other = on_top(it, tmp_path, [MIDDLE, TOP]), on_top(it, tmp_path, [MIDDLE, OTHER])
        results = await asyncio.gather(*(it.agent.ensure_template(image, it.layout) for image in (one, other)))
        assert [result.created for result in results] == [True, True]
        names = {f"sha256-{layer.chain_id.hex}" for image in (one, other) for layer in image.layers}
        assert {path.name for path in (road.store / "templates").iterdir()} == names
        assert len(names) == 4
        it.bundle = other
        assert await said(it, "c", "cat /data/a /data/c") == b"middleother"


async def test_progress_ends_with_all_bytes_where_lower_layers_are_there(road: Road, tmp_path: Path) -> None:
    told: list[TemplateProgress] = []
    async with road.opened() as it:
        await it.agent.ensure_template(it.bundle, it.layout)
        image = on_top(it, tmp_path, [MIDDLE])
        assert (await it.agent.ensure_template(image, it.layout, told.append)).created
    assert told[-1].done_bytes == told[-1].total_bytes == sum(layer.size_bytes for layer in image.layers)


async def test_both_services_tell_the_same_stages_of_a_template(road: Road, tmp_path: Path) -> None:
    async with road.opened() as it:
        it.bundle = on_top(it, tmp_path, [MIDDLE, TOP])
        made = await it.agent.ensure_template(it.bundle, it.layout)
    assert set(made.stage_seconds) == set(TEMPLATE_STAGES)
    assert all(seconds > 0 for seconds in made.stage_seconds.values())


async def test_both_services_tell_the_same_stages_of_a_template_that_cannot_be_made(road: Road, tmp_path: Path) -> None:
    async with road.opened() as it:
        it.bundle = on_top(it, tmp_path, [MIDDLE, archive(directory("data"), file("data/.wh...", b""))])
        with pytest.raises(LayerRefused) as raised:
            await it.agent.ensure_template(it.bundle, it.layout)
    assert raised.value.failed_stage == "write"
    assert set(raised.value.stage_seconds) == {"pull", "inflate", "hash", "write"}
    assert raised.value.stage_seconds["write"] > 0
