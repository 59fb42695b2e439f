"""An image source of one's own: `dir:PATH` makes a directory of the host an image of a single layer.

python examples/own_image_source.py DIRECTORY COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import asyncio
import sys
import tarfile
import tempfile
from pathlib import Path

import firkin
from firkin import Digest, ImageBundle, ImageConfig, Platform, PodBuilder, PodContainerSpec, RootfsSource, RuntimeConfig
from firkin.domain.image import LayerBlob, chained_layers
from firkin.errors import ImageNotFound

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class DirectoryImageSource:
    """Keeps the Protocol `firkin.ports.image_source.ImageSource`; it inherits from nothing."""

    scheme = "dir"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        return await asyncio.to_thread(self._packed, Path(reference.removeprefix("dir:")), platform)

    def _packed(self, directory: Path, platform: Platform) -> ImageBundle:
        if not directory.is_dir():
            raise ImageNotFound(f"dir:{directory}", "it is not a directory")
        blob = self._scratch / "layer.tar"
        with tarfile.open(blob, "w") as tar:
            tar.add(directory, arcname=".")
        digest = Digest.of(blob.read_bytes())
        # An uncompressed layer is its own content: digest and diff id are the same.
        layers = chained_layers((LayerBlob(blob, digest, blob.stat().st_size, LAYER_TYPE),), (digest,))
        return ImageBundle(f"dir:{directory}", digest, platform, ImageConfig(), layers)


async def main(directory: str, *command: str) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        config = RuntimeConfig(store="directory", images=("oci", DirectoryImageSource(Path(scratch))))
        async with firkin.open_runtime(config) as runtime:
            bundle = await runtime.images.resolve(f"dir:{directory}")
            container = PodContainerSpec(firkin.ContainerId("main"), RootfsSource.oci_bundle(bundle)).command(*command)
            container = container.stdout(firkin.Stdio.INHERIT).stderr(firkin.Stdio.INHERIT)
            async with runtime.spawn(PodBuilder("own").container(container).build()) as pod:
                return (await pod.container("main").wait()).code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
