"""What every image source promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from firkin.adapters.image_library_oci import LibraryImageSource, OciImageLibrary
from firkin.adapters.images_docker_archive import DockerArchiveImageSource
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.adapters.memory import MemoryImageSource
from firkin.domain.digest import chain_ids
from firkin.domain.image import ImageConfig, Platform
from firkin.errors import ImageNotFound, PlatformMissing
from firkin.ports.image_source import ImageSource

from .archives import ArchiveWriter
from .layouts import Json, LayoutWriter

pytestmark = pytest.mark.real_time

HERE = Platform.current()
ELSEWHERE = Platform("s390x" if HERE.architecture != "s390x" else "amd64")


class Stocked(Protocol):
    """A source that a test can put images into."""

    source: ImageSource

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        """Put an image there, and return its reference."""
        ...

    def absent(self) -> str:
        """A reference of no image."""
        ...


class StockedMemory:
    def __init__(self, directory: Path) -> None:
        memory = MemoryImageSource()
        self.source: ImageSource = memory
        self._memory = memory

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        return self._memory.add(name, config, layers, platform).reference

    def absent(self) -> str:
        return "memory:absent"


class StockedLayouts:
    def __init__(self, directory: Path) -> None:
        self.source: ImageSource = OciLayoutImageSource()
        self._directory = directory

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        texts = tuple(layers)
        writer = LayoutWriter(self._directory / name)
        process = process_document(config)
        writer.index(writer.image("latest", writer.manifest(writer.config(texts, platform, process), texts)))
        return writer.reference("latest")

    def absent(self) -> str:
        return f"oci:{self._directory}/absent:latest"


class StockedArchives:
    def __init__(self, directory: Path) -> None:
        self.source: ImageSource = DockerArchiveImageSource(directory / "cache")
        self._directory = directory

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        texts = tuple(layers)
        writer = ArchiveWriter(self._directory / f"{name}.tar")
        files = [writer.layer(text) for text in texts]
        writer.image(writer.config(texts, platform, process_document(config)), files, [f"{name}:latest"])
        writer.written()
        return writer.reference(name)

    def absent(self) -> str:
        return f"docker-archive:{self._directory}/absent.tar"


class StockedLibrary:
    def __init__(self, directory: Path) -> None:
        layouts = OciLayoutImageSource()
        self.source: ImageSource = LibraryImageSource(directory / "state", layouts)
        self._library = OciImageLibrary(directory / "state")
        self._layouts = StockedLayouts(directory)

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        reference = self._layouts.add(name, config, layers, platform)
        with ThreadPoolExecutor(1) as threads:
            threads.submit(asyncio.run, self._kept(reference, name, platform)).result()
        return f"image:{name}"

    async def _kept(self, reference: str, name: str, platform: Platform) -> None:
        await self._library.keep(await self._layouts.source.resolve(reference, platform), name)

    def absent(self) -> str:
        return "image:absent"


def process_document(config: ImageConfig) -> Json:
    return {
        "Entrypoint": config.entrypoint,
        "Cmd": config.command,
        "Env": config.environment,
        "WorkingDir": config.working_dir,
        "User": config.user,
        "StopSignal": config.stop_signal,
        "Labels": dict(config.labels),
    }


@pytest.fixture(
    params=[StockedMemory, StockedLayouts, StockedArchives, StockedLibrary],
    ids=["memory", "oci_layout", "docker_archive", "library"],
)
def stocked(request: pytest.FixtureRequest, tmp_path: Path) -> Stocked:
    make: Callable[[Path], Stocked] = request.param
    return make(tmp_path)


async def test_an_image_keeps_its_reference_platform_and_config(stocked: Stocked) -> None:
    config = ImageConfig(("/entry", "-v"), ("command",), ("A=1", "B="), "/srv", "app:extra", "SIGINT", {"k": "v"})
    reference = stocked.add("whole", config, ("base", "top"), HERE)

    bundle = await stocked.source.resolve(reference, HERE)

    assert (bundle.reference, bundle.platform, bundle.config) == (reference, HERE, config)


async def test_layers_come_lowest_first_with_their_chain_ids(stocked: Stocked) -> None:
    reference = stocked.add("layered", ImageConfig(), ("base", "middle", "top"), HERE)

    bundle = await stocked.source.resolve(reference, HERE)

    assert len(bundle.layers) == 3
    assert len(set(bundle.diff_ids)) == 3
    assert tuple(layer.chain_id for layer in bundle.layers) == chain_ids(bundle.diff_ids)
    assert bundle.chain_id == bundle.layers[-1].chain_id


async def test_images_with_equal_layers_share_chain_ids_and_not_their_digest(stocked: Stocked) -> None:
    first = stocked.add("first", ImageConfig(command=("a",)), ("base", "one"), HERE)
    second = stocked.add("second", ImageConfig(command=("b",)), ("base", "other"), HERE)

    bundles = [await stocked.source.resolve(reference, HERE) for reference in (first, second)]

    assert bundles[0].layers[0].chain_id == bundles[1].layers[0].chain_id
    assert bundles[0].chain_id != bundles[1].chain_id
    assert bundles[0].digest != bundles[1].digest


async def test_an_image_may_have_no_layers(stocked: Stocked) -> None:
    bundle = await stocked.source.resolve(stocked.add("empty", ImageConfig(), (), HERE), HERE)

    assert bundle.layers == ()


async def test_resolving_twice_gives_the_same(stocked: Stocked) -> None:
    reference = stocked.add("stable", ImageConfig(command=("sh",)), ("base",), HERE)

    assert await stocked.source.resolve(reference, HERE) == await stocked.source.resolve(reference, HERE)


async def test_an_absent_image_is_not_found(stocked: Stocked) -> None:
    with pytest.raises(ImageNotFound) as caught:
        await stocked.source.resolve(stocked.absent(), HERE)

    assert caught.value.reference == stocked.absent()


async def test_an_image_for_another_platform_says_which_it_has(stocked: Stocked) -> None:
    reference = stocked.add("foreign", ImageConfig(), ("base",), ELSEWHERE)

    with pytest.raises(PlatformMissing) as caught:
        await stocked.source.resolve(reference, HERE)

    assert (caught.value.wanted, caught.value.available) == (str(HERE), (str(ELSEWHERE),))


async def test_references_begin_with_the_scheme(stocked: Stocked) -> None:
    reference = stocked.add("schemed", ImageConfig(), ("base",), HERE)

    assert reference.startswith(stocked.source.scheme + ":")


async def test_a_bundle_survives_being_encoded(stocked: Stocked) -> None:
    bundle = await stocked.source.resolve(stocked.add("sent", ImageConfig(), ("base",), HERE), HERE)

    assert msgspec.json.decode(msgspec.json.encode(bundle.config), type=ImageConfig) == bundle.config
