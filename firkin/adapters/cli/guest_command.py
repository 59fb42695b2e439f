"""`firkin guest`: what virtual machines boot from."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .kernel_type import KernelType
from .machine_options import tell_build
from .pod_end import tell
from .reclaiming_table import show_reclaiming
from .services import CliServices
from .size_type import SizeType

if TYPE_CHECKING:
    from firkin.domain.reclaiming import Reclaimable

_BUILD_HELP = """Build what virtual machines boot from, unless it is there already, and print where it is.

A guest image holds a kernel, drivers, and a read-only root with the guest agent: made of this machine's own files
(interpreter, firkin, crun, e2fsprogs), so that both sides of a sandbox are of one version. It is kept by its content,
and built again by itself when one of those files has changed. It lies in the state directory and not in a cache, as
machines run from it: `firkin guest prune` gives back what none runs from, which a cleaner of caches could not tell.
The kernel is Debian's for cloud machines, downloaded once by apt, unless --kernel names another; that one's modules are
looked for beside it and in /lib/modules.

\b
  firkin guest build
  firkin guest build --kernel /boot/vmlinuz"""


_RM_HELP = """Remove guest images and downloaded kernels, by the ids of `firkin guest list`, or their beginnings.

\b
  firkin guest rm 3f2a

What a machine runs from stays, and is told. The next machine that needs what was removed has it made again."""

_PRUNE_HELP = """Remove guest images and downloaded kernels, and say why each goes or stays.

\b
  firkin guest prune --dry-run                 what would go
  firkin guest prune --keep-bytes 500MiB

What was not used for the longest time goes first, until what is left takes at most SIZE, and what interrupted builds
left goes in any case. What a machine runs from stays."""


@click.group("guest", help="Build what virtual machines boot from, and give its space back.")
def command() -> None: ...


@command.command("build", help=_BUILD_HELP)
@click.option("--kernel", type=KernelType(), metavar="FILE", help="Kernel to boot instead of Debian's.")
@click.pass_obj
def build(services: CliServices, kernel: Path | None) -> int:
    image = asyncio.run(services.guest_images().image(kernel, tell_build))
    version = image.kernel_version or "of unknown version"
    click.echo(f"kernel  {image.kernel}  ({version})\ninitramfs  {image.initramfs}\nroot  {image.root}")
    return 0


@command.command(
    "list", help="List guest images and downloaded kernels: sizes, last use, and whether a machine uses them."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of objects, sizes in bytes.")
@click.pass_obj
def list_images(services: CliServices, as_json: bool) -> None:
    from firkin.domain.size import Size

    from .table import print_table

    items = sorted(asyncio.run(services.kept_guest_images().items()), key=lambda item: item.last_used, reverse=True)
    if as_json:
        values = [
            {
                "kind": item.kind.value,
                "id": item.identity,
                "size_bytes": item.size_bytes,
                "last_used": _moment(item).isoformat(),
                "held": item.held,
            }
            for item in items
        ]
        click.echo(json.dumps(values, indent=2))
        return
    rows = [
        (item.kind.value, item.identity, str(Size(item.size_bytes)), f"{_moment(item):%Y-%m-%d %H:%M:%S}", item.held)
        for item in items
    ]
    print_table(("WHAT", "ID", "SIZE", "LAST USED (UTC)", ""), rows)


@command.command("rm", help=_RM_HELP)
@click.argument("identities", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def remove(services: CliServices, identities: tuple[str, ...]) -> int:
    return asyncio.run(_removed(services, identities))


async def _removed(services: CliServices, identities: tuple[str, ...]) -> int:
    from firkin.domain.size import Size

    space = services.kept_guest_images()
    failures = 0
    for identity in identities:
        found = [item for item in await space.items() if item.identity.startswith(identity)]
        if len(found) != 1:
            tell(f"error: {'nothing has' if not found else 'several things have'} the id {identity}")
            failures += 1
            continue
        (item,) = found
        held = item.held or (await space.reclaim(item)).held
        if held:
            tell(f"error: {item.identity} stays: {held}")
            failures += 1
        else:
            click.echo(f"removed {item.kind.value} {item.identity}, {Size(item.size_bytes)} freed")
    return 1 if failures else 0


@command.command("prune", help=_PRUNE_HELP)
@click.option("--keep-bytes", type=SizeType(), default=0, metavar="SIZE", help="How much may stay; nothing by default.")
@click.option("--dry-run", is_flag=True, help="Remove nothing, only tell.")
@click.pass_obj
def prune(services: CliServices, keep_bytes: int, dry_run: bool) -> None:
    from firkin.application.reclaiming import reclaimed

    decisions = asyncio.run(reclaimed([services.kept_guest_images()], keep_bytes, dry_run=dry_run))
    show_reclaiming(decisions, dry_run=dry_run)


def _moment(item: Reclaimable) -> datetime:
    return datetime.fromtimestamp(int(item.last_used), UTC)
