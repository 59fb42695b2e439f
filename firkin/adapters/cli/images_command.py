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

With --store, each line is a template: the chain id of its layers, how many of them are directories of their own, their
size, how much of it other templates of the list share, when a pod last used it, which pod does now, and what is not in
it as it is in the image, for an ordinary user cannot make it. With -v these layers follow, the uppermost first. JSON
has every template, with the chain id of the one `below` it. Those of an ext4 store cannot be listed: it is a filesystem
in a file, which is mounted only in the sandbox of a pod that uses it."""


def store_path(store: str) -> Path | None:
    """The directory that `--store` means; None for the machine's shared one."""
    return None if store == DEFAULT_STORE else Path(store)


@click.command("images", help=_HELP)
@click.option("--store", metavar="PATH|default", help="List the templates of a directory store instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects, sizes in bytes.")
@click.option("--verbose", "-v", is_flag=True, help="List the layers of each template too.")
@click.pass_obj
def command(services: CliServices, store: str | None, as_json: bool, verbose: bool) -> None:
    if store is None:
        _show_images(asyncio.run(services.image_library().images()), as_json)
        return
    templates = asyncio.run(services.templates(store_path(store)).items())
    if as_json:
        _print_templates(templates)
    else:
        _show_templates(templates, verbose)


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


def _print_templates(templates: tuple[Reclaimable, ...]) -> None:
    _print_json(
        {
            "chain_id": template.identity,
            "size_bytes": template.size_bytes,
            "last_used": _moment(template.last_used).isoformat(),
            "held": template.held,
            "below": template.below,
            "replaced": dict(template.replaced),
        }
        for template in sorted(templates, key=lambda template: template.last_used, reverse=True)
    )


def _show_templates(templates: tuple[Reclaimable, ...], verbose: bool) -> None:
    from firkin.domain.listed_templates import listed_templates

    from .replaced_files import replaced_words
    from .table import print_table

    rows: list[tuple[str, ...]] = []
    for listed in listed_templates(templates):
        told = replaced_words(listed.replaced)
        rows.append(_row(listed.top, str(len(listed.layers)), listed.size_bytes, listed.shared_bytes, told))
        if verbose and len(listed.layers) > 1:
            rows += [_row(layer, "", layer.size_bytes, None, replaced_words(layer.replaced)) for layer in listed.layers]
    print_table(("CHAIN ID", "LAYERS", "SIZE", "SHARED", "LAST USED (UTC)", ""), rows)


def _row(
    template: Reclaimable, layers: str, size_bytes: int, shared_bytes: int | None, replaced: str
) -> tuple[str, ...]:
    from firkin.domain.size import Size

    return (
        ("" if layers else "  ") + template.identity.removeprefix("sha256:")[:12],
        layers,
        str(Size(size_bytes)),
        "" if shared_bytes is None else str(Size(shared_bytes)),
        f"{_moment(template.last_used):%Y-%m-%d %H:%M:%S}",
        "; ".join(told for told in (template.held, replaced) if told),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _print_json(values: Iterable[Mapping[str, object]]) -> None:
    import json

    click.echo(json.dumps(list(values), indent=2))
