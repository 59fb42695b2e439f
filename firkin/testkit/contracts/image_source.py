"""What every image source promises (ports/image_source.py)."""

from __future__ import annotations

import msgspec
import pytest

from firkin.domain.digest import chain_ids
from firkin.domain.errors import ImageNotFound, PlatformMissing
from firkin.domain.image import ImageConfig, Platform

from ..stocked import StockedImageSource

HERE = Platform.current()
ELSEWHERE = Platform("s390x" if HERE.architecture != "s390x" else "amd64")


async def test_an_image_keeps_its_reference_platform_and_config(firkin_image_source: StockedImageSource) -> None:
    config = ImageConfig(("/entry", "-v"), ("command",), ("A=1", "B="), "/srv", "app:extra", "SIGINT", {"k": "v"})
    reference = firkin_image_source.add("whole", config, ("base", "top"), HERE)

    bundle = await firkin_image_source.source.resolve(reference, HERE)

    assert (bundle.reference, bundle.platform, bundle.config) == (reference, HERE, config)


async def test_layers_come_lowest_first_with_their_chain_ids(firkin_image_source: StockedImageSource) -> None:
    reference = firkin_image_source.add("layered", ImageConfig(), ("base", "middle", "top"), HERE)

    bundle = await firkin_image_source.source.resolve(reference, HERE)

    assert len(bundle.layers) == 3
    assert len(set(bundle.diff_ids)) == 3
    assert tuple(layer.chain_id for layer in bundle.layers) == chain_ids(bundle.diff_ids)
    assert bundle.chain_id == bundle.layers[-1].chain_id


async def test_images_with_equal_layers_share_chain_ids_and_not_their_digest(
    firkin_image_source: StockedImageSource,
) -> None:
    first = firkin_image_source.add("first", ImageConfig(command=("a",)), ("base", "one"), HERE)
    second = firkin_image_source.add("second", ImageConfig(command=("b",)), ("base", "other"), HERE)

    bundles = [await firkin_image_source.source.resolve(reference, HERE) for reference in (first, second)]

    assert bundles[0].layers[0].chain_id == bundles[1].layers[0].chain_id
    assert bundles[0].chain_id != bundles[1].chain_id
    assert bundles[0].digest != bundles[1].digest


async def test_an_image_may_have_no_layers(firkin_image_source: StockedImageSource) -> None:
    bundle = await firkin_image_source.source.resolve(firkin_image_source.add("empty", ImageConfig(), (), HERE), HERE)

    assert bundle.layers == ()


async def test_resolving_twice_gives_the_same(firkin_image_source: StockedImageSource) -> None:
    reference = firkin_image_source.add("stable", ImageConfig(command=("sh",)), ("base",), HERE)

    assert await firkin_image_source.source.resolve(reference, HERE) == await firkin_image_source.source.resolve(
        reference, HERE
    )


async def test_an_absent_image_is_not_found(firkin_image_source: StockedImageSource) -> None:
    with pytest.raises(ImageNotFound) as caught:
        await firkin_image_source.source.resolve(firkin_image_source.absent(), HERE)

    assert caught.value.reference == firkin_image_source.absent()


async def test_an_image_for_another_platform_says_which_it_has(firkin_image_source: StockedImageSource) -> None:
    reference = firkin_image_source.add("foreign", ImageConfig(), ("base",), ELSEWHERE)

    with pytest.raises(PlatformMissing) as caught:
        await firkin_image_source.source.resolve(reference, HERE)

    assert (caught.value.wanted, caught.value.available) == (str(HERE), (str(ELSEWHERE),))


async def test_references_begin_with_the_scheme(firkin_image_source: StockedImageSource) -> None:
    reference = firkin_image_source.add("schemed", ImageConfig(), ("base",), HERE)

    assert reference.startswith(firkin_image_source.source.scheme + ":")


async def test_a_bundle_survives_being_encoded(firkin_image_source: StockedImageSource) -> None:
    bundle = await firkin_image_source.source.resolve(
        firkin_image_source.add("sent", ImageConfig(), ("base",), HERE), HERE
    )

    assert msgspec.json.decode(msgspec.json.encode(bundle.config), type=ImageConfig) == bundle.config
