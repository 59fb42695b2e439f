"""`firkin image`: keeping images, and giving their space back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from .images_command import DEFAULT_STORE, store_path
from .pod_end import tell
from .reclaiming_table import show_reclaiming
from .services import CliServices
from .size_type import SizeType

if TYPE_CHECKING:
    from firkin.domain.image import Platform
    from firkin.ports.image_library import KeptImage

_IMPORT_HELP = """Keep the image of REFERENCE in the image directory, under NAME, and print how to refer to it.

\b
  firkin image import docker-archive:busybox.tar           under the name it has there
  firkin image import oci:images:hello greetings/hello:1
  firkin run image:greetings/hello:1

Every digest is checked. The directory, `images` in the state directory, is one OCI image layout, which skopeo and
umoci read as well. A NAME that another image had means this one from now on."""

_RM_HELP = """Take names away, and remove what no other image needs.

\b
  firkin image rm greetings/hello:1

With @sha256:... behind it, a name is only taken away when it means that image."""

_PRUNE_HELP = """Remove what can be made again, and say why each thing goes or stays; images with a name stay.

\b
  firkin image prune --dry-run                 what would go
  firkin image prune --keep-bytes 10GiB

That is: blobs that no image refers to and what interrupted imports left; and, what was not used for the longest time
first, the templates of the directory store and the layers copied out of archives, until what is left takes at most
SIZE. A template that a running pod uses is never removed."""


@click.group("image", help="Keep images, and give their space back.")
def command() -> None: ...


@command.command("import", help=_IMPORT_HELP)
@click.option("--platform", metavar="OS/ARCH", help="Take the image for this platform instead of the machine's.")
@click.argument("reference")
@click.argument("name", required=False)
@click.pass_obj
def import_image(services: CliServices, platform: str | None, reference: str, name: str | None) -> None:
    from firkin.domain.image import Platform

    wanted = Platform.parse(platform) if platform else None
    image = asyncio.run(_imported(services, reference, name, wanted))
    click.echo(f"image:{image.name}@{image.digest}")


async def _imported(services: CliServices, reference: str, name: str | None, platform: Platform | None) -> KeptImage:
    async with services.open_runtime(platform=platform) as runtime:
        bundle = await runtime.images.resolve(reference)
    known = bundle.documents.name if bundle.documents is not None else ""
    if not (chosen := name or known):
        raise click.UsageError("The image has no name where it is now; give it a NAME.")
    return await services.image_library().keep(bundle, chosen)


@command.command("rm", help=_RM_HELP)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.pass_obj
def remove(services: CliServices, names: tuple[str, ...]) -> int:
    return asyncio.run(_removed(services, names))


async def _removed(services: CliServices, names: tuple[str, ...]) -> int:
    from firkin.domain.errors import ImageNotFound
    from firkin.domain.image_names import split_digest
    from firkin.domain.size import Size

    library = services.image_library()
    failures = 0
    for name in names:
        try:
            plain, digest = split_digest(name.removeprefix("image:"), name)
            removed = await library.remove(plain, digest)
        except ImageNotFound as error:
            tell(f"error: {error}")
            failures += 1
        else:
            click.echo(f"removed {removed.name} ({removed.digest}), {Size(removed.freed_bytes)} freed")
    return 1 if failures else 0


@command.command("prune", help=_PRUNE_HELP)
@click.option("--keep-bytes", type=SizeType(), default=0, metavar="SIZE", help="How much may stay; nothing by default.")
@click.option("--dry-run", is_flag=True, help="Remove nothing, only tell.")
@click.option("--store", metavar="PATH|default", default=DEFAULT_STORE, help="The directory store to be pruned.")
@click.pass_obj
def prune(services: CliServices, keep_bytes: int, dry_run: bool, store: str) -> None:
    from firkin.application.reclaiming import reclaimed

    decisions = asyncio.run(reclaimed(services.reclaimable(store_path(store)), keep_bytes, dry_run=dry_run))
    show_reclaiming(decisions, dry_run=dry_run)
