"""What every image library promises (ports/image_library.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from firkin.domain.digest import Digest
from firkin.domain.errors import ImageNotFound, InvalidReference, UnsupportedFeature
from firkin.domain.image import Platform
from firkin.ports.image_library import ImageLibrary

from ..stored_image import stored_image

HERE = Platform.current()


async def test_nothing_is_kept_at_first(firkin_image_library: ImageLibrary) -> None:
    assert await firkin_image_library.images() == ()
    with pytest.raises(ImageNotFound):
        await firkin_image_library.remove("absent")


async def test_what_is_kept_is_listed_by_name(firkin_image_library: ImageLibrary, tmp_path: Path) -> None:
    bundle = stored_image(tmp_path / "image", "base", "top")

    kept = [await firkin_image_library.keep(bundle, name) for name in ("b/c:1", "a")]

    assert await firkin_image_library.images() == tuple(reversed(kept))
    assert (kept[0].name, kept[0].digest, kept[0].platform) == ("b/c:1", bundle.digest, HERE)
    assert (kept[0].layer_count, kept[0].size_bytes, kept[0].problem) == (2, len("base" + "top"), "")


async def test_a_name_means_the_last_image_that_got_it(firkin_image_library: ImageLibrary, tmp_path: Path) -> None:
    await firkin_image_library.keep(stored_image(tmp_path / "one", "one"), "name")
    second = await firkin_image_library.keep(stored_image(tmp_path / "two", "two"), "name")

    assert await firkin_image_library.images() == (second,)


async def test_removing_frees_what_no_other_image_needs(firkin_image_library: ImageLibrary, tmp_path: Path) -> None:
    await firkin_image_library.keep(stored_image(tmp_path / "one", "base", "one" * 1000), "one:latest")
    await firkin_image_library.keep(stored_image(tmp_path / "two", "base", "two"), "two:latest")

    removed = await firkin_image_library.remove("one")

    assert removed.name == "one:latest"
    assert 3000 <= removed.freed_bytes < 4000
    assert [image.name for image in await firkin_image_library.images()] == ["two:latest"]


async def test_a_name_that_means_another_digest_is_not_removed(
    firkin_image_library: ImageLibrary, tmp_path: Path
) -> None:
    kept = await firkin_image_library.keep(stored_image(tmp_path / "image", "base"), "name")

    with pytest.raises(ImageNotFound):
        await firkin_image_library.remove("name", Digest.of(b"other"))
    assert (await firkin_image_library.remove("name", kept.digest)).digest == kept.digest
    assert await firkin_image_library.images() == ()


@pytest.mark.parametrize("name", ["", "a b", "../a", "a//b", "/a", "a@b", "-a", "a\n", "\u00e4", "a" * 256, "a:"])
async def test_what_is_no_name_is_refused(firkin_image_library: ImageLibrary, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidReference):
        await firkin_image_library.keep(stored_image(tmp_path / "image", "base"), name)


async def test_an_image_without_documents_cannot_be_kept(firkin_image_library: ImageLibrary, tmp_path: Path) -> None:
    bundle = replace(stored_image(tmp_path / "image", "base"), documents=None)

    with pytest.raises(UnsupportedFeature):
        await firkin_image_library.keep(bundle, "name")
