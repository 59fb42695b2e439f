"""What every image source promises, over memory, layouts, archives of `docker save` and the image library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firkin.adapters.image_library_oci import LibraryImageSource, OciImageLibrary
from firkin.adapters.images_docker_archive import DockerArchiveImageSource
from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.adapters.memory import MemoryImageSource
from firkin.domain.image import ImageConfig, Platform
from firkin.ports.image_source import ImageSource
from firkin.testkit.stocked import StockedImageSource

from .archives import ArchiveWriter
from .layouts import Json, LayoutWriter


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


_SOURCES: Mapping[str, Callable[[Path], StockedImageSource]] = {
    "memory": StockedMemory,
    "oci": StockedLayouts,
    "docker-archive": StockedArchives,
    "image": StockedLibrary,
}


@pytest.fixture(params=_SOURCES)
def firkin_image_source(request: pytest.FixtureRequest, tmp_path: Path) -> StockedImageSource:
    return _SOURCES[str(request.param)](tmp_path)
