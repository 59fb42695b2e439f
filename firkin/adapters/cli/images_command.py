"""`firkin images`: what is kept, of images and of what they unpack to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.reclaiming import Reclaimable
    from firkin.ports.image_library import KeptImage

DEFAULT_STORE = "default"

_HELP = """List the images of the image directory, which run as image:NAME; `firkin image import` adds one.

\b
  firkin images
  firkin images --json | jq -r '.[].name'
  firkin images --store default                what a directory store holds: images unpacked to templates

With --store, each line is a template: the chain id of its layers, its size, and when a pod last used it."""


def store_path(store: str) -> Path | None:
    """The directory that `--store` means; None for the machine's shared one."""
    return None if store == DEFAULT_STORE else Path(store)


@click.command("images", help=_HELP)
@click.option("--store", metavar="PATH|default", help="List the templates of a directory store instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects, sizes in bytes.")
@click.pass_obj
def command(services: CliServices, store: str | None, as_json: bool) -> None:
    if store is None:
        _show_images(asyncio.run(services.image_library().images()), as_json)
    else:
        _show_templates(asyncio.run(services.templates(store_path(store)).items()), as_json)


def _show_images(images: tuple[KeptImage, ...], as_json: bool) -> None:
    from firkin.domain.size import Size

    from .table import print_table

    if as_json:
        _print_json(
            {
                "name": image.name,
                "digest": image.digest,
                "platform": str(image.platform or ""),
                "layers": image.layer_count,
                "size_bytes": image.size_bytes,
                "created": image.created,
                "problem": image.problem,
            }
            for image in images
        )
        return
    rows = [
        (
            image.name,
            image.digest.hex[:12],
            str(image.platform or "-"),
            str(image.layer_count),
            str(Size(image.size_bytes)),
            image.problem or image.created[:19].replace("T", " ") or "-",
        )
        for image in images
    ]
    print_table(("NAME", "DIGEST", "PLATFORM", "LAYERS", "SIZE", "CREATED"), rows)


def _show_templates(templates: tuple[Reclaimable, ...], as_json: bool) -> None:
    from firkin.domain.size import Size

    from .table import print_table

    newest_first = sorted(templates, key=lambda template: template.last_used, reverse=True)
    if as_json:
        _print_json(
            {
                "chain_id": template.identity,
                "size_bytes": template.size_bytes,
                "last_used": _moment(template.last_used).isoformat(),
                "held": template.held,
            }
            for template in newest_first
        )
        return
    rows = [
        (
            template.identity.removeprefix("sha256:")[:12],
            str(Size(template.size_bytes)),
            f"{_moment(template.last_used):%Y-%m-%d %H:%M:%S}",
            template.held,
        )
        for template in newest_first
    ]
    print_table(("CHAIN ID", "SIZE", "LAST USED (UTC)", ""), rows)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _print_json(values: Iterable[Mapping[str, object]]) -> None:
    import json

    click.echo(json.dumps(list(values), indent=2))
