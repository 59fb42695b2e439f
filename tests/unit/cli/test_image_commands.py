from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from firkin import RuntimeConfig, open_runtime
from firkin.adapters.cli import CliServices, run_program
from firkin.adapters.cli.services import LayerFile, LayerReport, Resolve
from firkin.adapters.memory import MemoryImageLibrary, MemoryImageSource, MemoryReclaimableSpace
from firkin.application.runtime import Runtime
from firkin.domain.digest import Digest
from firkin.domain.image import ImageBundle, ImageDocuments, Platform
from firkin.domain.pod_spec import PodSpec
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig
from firkin.ports.reclaimable_space import ReclaimableSpace

from .long_lived import long_lived_in_memory

CHAIN_ID = Digest.of(b"chain")


class _NamedImages(MemoryImageSource):
    """Images that are called `named:1` where they are, or nothing."""

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        bundle = await super().resolve(reference, platform)
        name = "" if reference.endswith("nameless") else "named:1"
        documents = ImageDocuments(name, "", b"", b"", "2024-05-06T07:08:09.10Z\x1b[31m")
        return ImageBundle(reference, bundle.digest, bundle.platform, bundle.config, bundle.layers, documents=documents)


class _World(NamedTuple):
    """What the commands work on."""

    library: MemoryImageLibrary
    templates: MemoryReclaimableSpace
    stores: list[Path | None]

    def run(self, *arguments: str) -> int:
        images = _NamedImages()
        for name in ("image", "nameless"):
            images.add(name)

        def runtime(
            *, store: str | None = None, platform: Platform | None = None, allow_host_paths: Sequence[Path] = ()
        ) -> AbstractAsyncContextManager[Runtime]:
            config = RuntimeConfig(vmm="memory", store="memory", agents="memory", images=images, platform=platform)
            return open_runtime(config)

        return run_program(arguments, _services(self, runtime))

    def stored(self, path: Path | None) -> ReclaimableSpace:
        self.stores.append(path)
        return self.templates


def _services(world: _World, runtime: Callable[..., AbstractAsyncContextManager[Runtime]]) -> CliServices:
    def unused(*arguments: object) -> NoReturn:
        raise AssertionError(f"called with {arguments}")

    async def read_pod(
        text: str,
        source: str,
        resolve: Resolve,
        pod_store: PodStoreSpec,
        allow_host_paths: Sequence[Path],
        vm_config: VmConfig,
    ) -> PodSpec:
        unused(text)

    def apply_layer(
        rootfs: Path, layer: LayerFile, limits: Mapping[str, int], progress: Callable[[int], None]
    ) -> LayerReport:
        unused(rootfs)

    def spaces(path: Path | None) -> Sequence[ReclaimableSpace]:
        return (world.stored(path),)

    return CliServices(
        open_runtime=runtime,
        read_pod=read_pod,
        check_pod=lambda text, source, allowed: (),
        apply_layer=apply_layer,
        run_vminitd=unused,
        places=unused,
        traceback_wanted=lambda: False,
        version=lambda: "9.9",
        image_library=lambda: world.library,
        templates=world.stored,
        reclaimable=spaces,
        guest_images=unused,
        kept_guest_images=unused,
        kvm_obstacle=unused,
        kvm_finding=unused,
        vhost_obstacle=unused,
        long_lived=long_lived_in_memory(),
    )


@pytest.fixture
def world() -> _World:
    template = Reclaimable(ReclaimableKind.TEMPLATE, CHAIN_ID, 2**20, 86400.0)
    return _World(MemoryImageLibrary(), MemoryReclaimableSpace([template]), [])


def test_import_prints_how_to_refer_to_the_image(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run("image", "import", "memory:image") == 0
    assert capsys.readouterr().out.startswith("image:named:1@sha256:")
    assert world.run("image", "import", "memory:image", "other") == 0
    assert capsys.readouterr().out.startswith("image:other@sha256:")


def test_an_image_without_a_name_needs_one(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run("image", "import", "memory:nameless") == 2
    assert "give it a NAME" in capsys.readouterr().err
    assert world.run("image", "import", "memory:nameless", "name") == 0


def test_images_lists_in_columns_and_steers_no_terminal(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    world.run("image", "import", "memory:image")
    capsys.readouterr()

    assert world.run("images") == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "DIGEST", "PLATFORM", "LAYERS", "SIZE", "CREATED"]
    assert row.split()[0] == "named:1"
    assert row.split()[-2:] == ["2024-05-06", "07:08:09"]
    assert world.run("images", "--json") == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert (image["name"], image["layers"], image["platform"]) == ("named:1", 1, str(Platform.current()))


def test_templates_are_listed_of_the_store_that_is_given(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run("images", "--store", "default") == 0
    header, row = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header == ["CHAIN", "ID", "LAYERS", "SIZE", "SHARED", "LAST", "USED", "(UTC)"]
    assert row == [CHAIN_ID.hex[:12], "1", "1", "MiB", "0", "B", "1970-01-02", "00:00:00"]
    assert world.run("images", "--store", "/some/store", "--json") == 0
    (template,) = json.loads(capsys.readouterr().out)
    assert (template["chain_id"], template["last_used"]) == (CHAIN_ID, "1970-01-02T00:00:00+00:00")
    assert template["below"] == ""
    assert world.stores == [None, Path("/some/store")]


def test_layers_of_a_stack_are_listed_only_when_asked_for(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    tops = [Digest.of(name) for name in (b"one", b"two")]
    world.templates.add(
        *(
            Reclaimable(ReclaimableKind.TEMPLATE, top, 2**21, 86400.0 - at, below=CHAIN_ID)
            for at, top in enumerate(tops)
        )
    )

    assert world.run("images", "--store", "default") == 0
    _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    assert [row[:6] for row in rows] == [[top.hex[:12], "2", "3", "MiB", "1", "MiB"] for top in tops]

    assert world.run("images", "--store", "default", "-v") == 0
    _, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    layers = [[top.hex[:12], "2", "MiB"] for top in tops]
    lowest = [CHAIN_ID.hex[:12], "1", "MiB"]
    assert [row[:3] for row in rows] == [
        [tops[0].hex[:12], "2", "3"], layers[0], lowest,
        [tops[1].hex[:12], "2", "3"], layers[1], lowest,
    ]  # fmt: skip


def test_what_a_users_template_lacks_is_told(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    top = Digest.of(b"top")
    replaced = {"device": 2, "of a later agent": 1}
    world.templates.add(Reclaimable(ReclaimableKind.TEMPLATE, top, 2**21, 86400.0, "pod a uses it", CHAIN_ID, replaced))

    assert world.run("images", "--store", "default", "-v") == 0
    _, *rows = capsys.readouterr().out.splitlines()
    lacks = "  pod a uses it; 2 device files are empty files"
    assert [row.endswith(lacks) for row in rows] == [True, True, False]
    assert world.run("images", "--store", "default", "--json") == 0
    told = {one["chain_id"]: one["replaced"] for one in json.loads(capsys.readouterr().out)}
    assert told == {top: replaced, CHAIN_ID: {}}


def test_rm_tells_what_it_removed_and_what_was_not_there(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    world.run("image", "import", "memory:image", "a:latest")

    assert world.run("image", "rm", "absent", "image:a") == 1
    told = capsys.readouterr()
    assert "absent" in told.err
    assert "removed a:latest (sha256:" in told.out
    assert world.run("image", "rm", "a@sha256:0") == 125


def test_prune_says_what_it_would_do_and_does_it(world: _World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.run("image", "prune", "--dry-run") == 0
    assert "1 MiB would be freed, 0 B kept" in capsys.readouterr().out
    assert world.run("image", "prune", "--keep-bytes", "1MiB") == 0
    assert "0 B freed, 1 MiB kept" in capsys.readouterr().out
    world.templates.hold(CHAIN_ID, "pod a uses it")
    assert world.run("image", "prune") == 0
    assert "pod a uses it" in capsys.readouterr().out
