"""Finding images in OCI layouts: directories, tags, platforms, nested indexes, what real tools write."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.adapters.images_oci_layout import OciLayoutImageSource
from firkin.domain.image import ImageBundle, Platform
from firkin.errors import ImageNotFound, InvalidReference, MediaTypeUnsupported, PlatformMissing, TagNotFound
from tests.descriptors import open_descriptors, opened_since

from ...images.tools import run
from .layouts import CONFIG, LayoutWriter, described

pytestmark = pytest.mark.real_time

AMD64 = Platform("amd64")
ARM64 = Platform("arm64")
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@pytest.fixture
def writer(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "image")


async def resolved(reference: str, platform: Platform = AMD64) -> ImageBundle:
    return await OciLayoutImageSource().resolve(reference, platform)


def image_of(
    writer: LayoutWriter, platform: Platform, tag: str | None = None, command: str = "sh"
) -> dict[str, object]:
    config = writer.config(("base",), platform, {"Cmd": [command]})
    return writer.image(tag, writer.manifest(config))


async def test_a_single_image_needs_no_tag(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, AMD64, "only"))

    assert (await resolved(writer.reference())).config.command == ("sh",)


async def test_an_image_without_any_tag_is_found(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, AMD64))

    assert (await resolved(writer.reference())).config.command == ("sh",)


async def test_several_tags_of_one_image_need_no_tag(writer: LayoutWriter) -> None:
    image = image_of(writer, AMD64)
    writer.index(described(image, "1", None), described(image, "latest", None))

    assert (await resolved(writer.reference())).digest == image["digest"]


async def test_several_images_need_a_tag_and_the_error_lists_them(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, AMD64, "b", "two"), image_of(writer, AMD64, "a", "one"))

    with pytest.raises(TagNotFound) as caught:
        await resolved(writer.reference())

    assert (caught.value.tag, caught.value.available) == (None, ("a", "b"))
    assert (await resolved(writer.reference("a"))).config.command == ("one",)


async def test_an_unknown_tag_is_told_with_those_that_exist(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, AMD64, "latest"))

    with pytest.raises(TagNotFound) as caught:
        await resolved(writer.reference("old"))

    assert (caught.value.tag, caught.value.available) == ("old", ("latest",))


async def test_a_directory_may_contain_colons(tmp_path: Path) -> None:
    writer = LayoutWriter(tmp_path / "a:b")
    writer.index(image_of(writer, AMD64, "c:d"))

    assert await resolved(writer.reference("c:d"))
    assert await resolved(writer.reference())


async def test_the_longest_existing_directory_wins(tmp_path: Path) -> None:
    short, long = LayoutWriter(tmp_path / "a"), LayoutWriter(tmp_path / "a:b")
    short.index(image_of(short, AMD64, "b", "short"))
    long.index(image_of(long, AMD64, "c", "long"))

    assert (await resolved(f"oci:{tmp_path}/a:b")).config.command == ("long",)


async def test_a_relative_directory_gives_absolute_layer_paths(
    writer: LayoutWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.index(image_of(writer, AMD64))
    monkeypatch.chdir(writer.directory.parent)

    bundle = await resolved("oci:image")

    assert bundle.layers[0].path.is_absolute()
    assert bundle.layers[0].path.read_bytes() == b"base"


@pytest.mark.parametrize("reference", ["oci", "oci:", "oci::tag", "docker:x", "oci:a\0b", ""])
async def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(InvalidReference):
        await resolved(reference)


async def test_an_empty_tag_is_refused(writer: LayoutWriter) -> None:
    with pytest.raises(InvalidReference):
        await resolved(writer.reference(""))


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageNotFound, match=f"no directory {tmp_path}/absent"):
        await resolved(f"oci:{tmp_path}/absent:latest")


async def test_a_name_that_no_file_can_have_is_not_found() -> None:
    with pytest.raises(ImageNotFound):
        await resolved("oci:/" + "x" * 5000)


async def test_an_archive_is_told_from_a_layout(tmp_path: Path) -> None:
    (tmp_path / "saved.tar").write_bytes(b"")

    with pytest.raises(ImageNotFound, match="is a file, not a directory"):
        await resolved(f"oci:{tmp_path}/saved.tar:latest")


async def test_a_directory_that_is_no_layout_says_what_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")

    with pytest.raises(ImageNotFound, match="docker save"):
        await resolved(f"oci:{tmp_path}")


async def test_a_layout_without_images_is_told(writer: LayoutWriter) -> None:
    with pytest.raises(ImageNotFound, match="without any image"):
        await resolved(writer.reference())


async def test_a_null_list_is_an_empty_list(writer: LayoutWriter) -> None:
    (writer.directory / "index.json").write_text('{"schemaVersion": 2, "manifests": null}')

    with pytest.raises(ImageNotFound, match="without any image"):
        await resolved(writer.reference())


async def test_a_nested_index_is_searched_for_the_platform(writer: LayoutWriter) -> None:
    arm, amd = image_of(writer, ARM64, command="arm"), image_of(writer, AMD64, command="amd")
    inner = writer.nested(described(arm, None, ARM64), described(amd, None, AMD64))
    writer.index(writer.nested(inner, tag="multi"))

    assert (await resolved(writer.reference("multi"))).config.command == ("amd",)
    assert (await resolved(writer.reference(), ARM64)).config.command == ("arm",)


async def test_the_platform_is_read_from_the_config_when_the_index_has_none(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, ARM64, "multi", "arm"), image_of(writer, AMD64, "multi", "amd"))

    assert (await resolved(writer.reference("multi"))).config.command == ("amd",)
    assert (await resolved(writer.reference("multi"), ARM64)).config.command == ("arm",)


async def test_images_of_other_platforms_do_not_make_a_tag_necessary(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, ARM64, "one", "arm"), image_of(writer, AMD64, "other", "amd"))

    assert (await resolved(writer.reference())).config.command == ("amd",)


async def test_an_exact_variant_is_preferred(writer: LayoutWriter) -> None:
    v6, v7 = Platform("arm", variant="v6"), Platform("arm", variant="v7")
    writer.index(
        described(image_of(writer, v6, command="v6"), "x", v6), described(image_of(writer, v7, command="v7"), "x", v7)
    )

    assert (await resolved(writer.reference("x"), v7)).config.command == ("v7",)
    assert (await resolved(writer.reference("x"), Platform("arm"))).config.command == ("v6",)


async def test_a_missing_platform_lists_those_that_exist(writer: LayoutWriter) -> None:
    writer.index(described(image_of(writer, ARM64), "x", ARM64), described(image_of(writer, AMD64), "x", AMD64))

    with pytest.raises(PlatformMissing) as caught:
        await resolved(writer.reference("x"), Platform("riscv64"))

    assert caught.value.available == ("linux/amd64", "linux/arm64")


async def test_attestations_of_buildx_are_passed_over(writer: LayoutWriter) -> None:
    attestation = described(image_of(writer, Platform("unknown", "unknown")), None, Platform("unknown", "unknown"))
    image = described(image_of(writer, AMD64, command="image"), None, AMD64)
    writer.index(writer.nested(attestation, image, tag="latest"))

    assert (await resolved(writer.reference("latest"))).config.command == ("image",)
    with pytest.raises(PlatformMissing) as caught:
        await resolved(writer.reference("latest"), ARM64)
    assert caught.value.available == ("linux/amd64",)


async def test_docker_media_types_are_read(writer: LayoutWriter) -> None:
    manifest = writer.manifest(writer.config(platform=AMD64), layer_type=DOCKER_LAYER, config_type=DOCKER_CONFIG)
    image = writer.document({**manifest, "mediaType": DOCKER_MANIFEST}, DOCKER_MANIFEST)
    writer.index(writer.nested(described(image, None, AMD64), tag="latest", media_type=DOCKER_LIST))

    assert (await resolved(writer.reference("latest"))).layers[0].media_type == DOCKER_LAYER


async def test_an_artifact_is_refused_by_its_kind(writer: LayoutWriter) -> None:
    empty = "application/vnd.oci.empty.v1+json"
    manifest = {**writer.manifest(config_type=empty), "artifactType": "application/vnd.example.chart"}
    writer.index(writer.image("chart", manifest))

    with pytest.raises(MediaTypeUnsupported, match="artifact, not a container image") as caught:
        await resolved(writer.reference("chart"))
    assert caught.value.media_type == "application/vnd.example.chart"


async def test_an_artifact_beside_an_image_is_passed_over(writer: LayoutWriter) -> None:
    signature = writer.image(None, writer.manifest(config_type="application/vnd.example.signature"))
    writer.index(signature, image_of(writer, AMD64, "latest"))

    assert await resolved(writer.reference())


async def test_an_artifact_type_does_not_unmake_an_image(writer: LayoutWriter) -> None:
    manifest = {**writer.manifest(writer.config(platform=AMD64)), "artifactType": CONFIG}
    writer.index(writer.image("x", manifest))

    assert await resolved(writer.reference("x"))


async def test_no_descriptor_is_left_open(writer: LayoutWriter) -> None:
    writer.index(image_of(writer, AMD64, "latest"))
    await resolved(writer.reference())
    before = open_descriptors()

    await resolved(writer.reference())
    with pytest.raises(TagNotFound):
        await resolved(writer.reference("absent"))

    assert not opened_since(before)


async def test_an_image_of_umoci_says_how_it_runs(busybox_variant_image: str) -> None:
    bundle = await resolved(busybox_variant_image, Platform.current())

    assert bundle.config.entrypoint == ("/bin/echo", "entry")
    assert bundle.config.command == ("default",)
    assert "GREETING=from the image" in bundle.config.environment
    assert (bundle.config.working_dir, bundle.config.user) == ("/srv/work", "app")
    assert bundle.config.stop_signal == "SIGUSR1"


async def test_an_index_of_buildah_is_searched(busybox_image: str, tmp_path: Path) -> None:
    source = busybox_image.removesuffix(":latest")
    copy = tmp_path / "copy"
    run("skopeo", "copy", f"{source}:variant", f"oci:{copy}:here")
    run("umoci", "config", "--image", f"{copy}:here", "--tag", "there", "--architecture", "s390x")
    storage = ("--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")
    run("buildah", *storage, "manifest", "create", "both")
    run("buildah", *storage, "manifest", "add", "both", f"oci:{copy}:here")
    run("buildah", *storage, "manifest", "add", "both", f"oci:{copy}:there")
    run("buildah", *storage, "manifest", "push", "--all", "both", f"oci:{tmp_path / 'pushed'}:both")

    here = await resolved(f"oci:{tmp_path / 'pushed'}:both", Platform.current())
    there = await resolved(f"oci:{tmp_path / 'pushed'}", Platform("s390x"))

    assert (here.platform, there.platform) == (Platform.current(), Platform("s390x"))
    assert here.chain_id == there.chain_id
