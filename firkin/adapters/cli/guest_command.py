"""`firkin guest`: what virtual machines boot from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from .machine_options import tell_build
from .services import CliServices

_BUILD_HELP = """Build what virtual machines boot from, unless it is there already, and print where it is.

A guest image holds a kernel, drivers, and a read-only root with the guest agent: made of this machine's own files
(interpreter, firkin, crun, e2fsprogs), so that both sides of a sandbox are of one version. It is kept by its content,
and built again by itself when one of those files has changed. The kernel is Debian's for cloud machines, downloaded
once by apt, unless --kernel names another; that one's modules are looked for beside it and in /lib/modules.

\b
  firkin guest build
  firkin guest build --kernel /boot/vmlinuz"""


@click.group("guest", help="Build what virtual machines boot from.")
def command() -> None: ...


@command.command("build", help=_BUILD_HELP)
@click.option(
    "--kernel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Kernel to boot instead of Debian's.",
)
@click.pass_obj
def build(services: CliServices, kernel: Path | None) -> int:
    image = asyncio.run(services.guest_images().image(kernel, tell_build))
    version = image.kernel_version or "of unknown version"
    click.echo(f"kernel  {image.kernel}  ({version})\ninitramfs  {image.initramfs}\nroot  {image.root}")
    return 0
