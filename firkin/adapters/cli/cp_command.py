"""`firkin cp`: files between the host and a container of a pod."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

import click

from .copy_archive import archive_written, unpacked_archive
from .interruption import Interrupted, Interruptions
from .pod_argument import CopyPlaceType, container_option
from .pod_end import tell
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.copying import CopyReport
    from firkin.domain.ids import PodId
    from firkin.domain.supervised_pod import ContainerSummary
    from firkin.ports.pod_control import PodControl

_HELP = """Copy a file, or a directory with everything below it, between the host and a container of a running pod.

\b
  firkin cp site/. web:/var/www                what is in `site`
  firkin cp -c app web:/var/log ./logs         the directory, as ./logs, or in it when it exists
  firkin cp web:/etc - | tar -t                an archive on standard output
  tar -c site | firkin cp - web:/srv           and from standard input

The rules are those of `docker cp`: a directory that exists takes the source in, under its name unless the source ends
in `/.`; a name that is free becomes the source's new name. Modes, times and links are kept. Copies belong to the
container's user, or to you; with -a they keep their numbers. A path with `:` in it is a host's when it begins with
`/` or `.`."""


class _Place(NamedTuple):
    """One end: a pod's name is empty for the host."""

    pod: str
    path: str


@click.command("cp", help=_HELP)
@click.option("-a", "--archive", "keep_ownership", is_flag=True, help="Keep the numbers of users and groups.")
@click.option("-q", "--quiet", is_flag=True, help="Do not tell what was left out.")
@container_option
@click.argument("source", type=CopyPlaceType(), metavar="SOURCE")
@click.argument("destination", type=CopyPlaceType(), metavar="DESTINATION")
@click.pass_obj
def command(
    services: CliServices, keep_ownership: bool, quiet: bool, container: str | None, source: str, destination: str
) -> int:
    origin, target = _place(source), _place(destination)
    if bool(origin.pod) == bool(target.pod):
        raise click.UsageError("one of SOURCE and DESTINATION must be POD:PATH, and the other one of this host")
    if not source or not destination or source == f"{origin.pod}:":
        # A variable that is empty is no reason to copy everything that there is.
        raise click.UsageError("a path is empty: write `.` for this directory, and POD:/ for all of a container")
    record = services.long_lived.registry().record(origin.pod or target.pod)
    chosen = record.container(container)
    copying = _copied(services, record.id, chosen, origin, target, keep_ownership)
    try:
        report = asyncio.run(Interruptions(starting_seconds=0).run(copying))
    except Interrupted as interrupted:
        return interrupted.exit_code
    for sentence in () if quiet else report.left_out:
        tell(f"left out: {sentence}")
    return 0


def _place(text: str) -> _Place:
    pod, colon, path = text.partition(":")
    if not colon or not pod or text.startswith(("/", ".")):
        return _Place("", text)
    # As docker has it, paths in a container begin at its root.
    return _Place(pod, path if path.startswith("/") else f"/{path}")


async def _copied(
    services: CliServices,
    pod: PodId,
    container: ContainerSummary,
    origin: _Place,
    target: _Place,
    keep_ownership: bool,
) -> CopyReport:
    async with services.long_lived.connector().connected(pod) as control:
        if origin.pod:
            return await _copied_out(control, container, origin.path, target.path, keep_ownership)
        return await _copied_in(control, container, origin.path, target.path, keep_ownership)


async def _copied_out(
    control: PodControl, container: ContainerSummary, guest_path: str, host_path: str, keep_ownership: bool
) -> CopyReport:
    from firkin.ports.pod_control import CopyRequest

    if host_path == "-":
        async with archive_written() as unpacked:
            return await control.copy_out(CopyRequest(container.id, unpacked, guest_path, keep_ownership=True))
    return await control.copy_out(CopyRequest(container.id, _absolute(host_path), guest_path, keep_ownership))


async def _copied_in(
    control: PodControl, container: ContainerSummary, host_path: str, guest_path: str, keep_ownership: bool
) -> CopyReport:
    from firkin.ports.pod_control import CopyRequest

    if host_path == "-":
        async with unpacked_archive() as unpacked:
            return await control.copy_in(CopyRequest(container.id, f"{unpacked}/.", guest_path, keep_ownership))
    return await control.copy_in(CopyRequest(container.id, _absolute(host_path), guest_path, keep_ownership))


def _absolute(path: str) -> str:
    """The path as the supervisor finds it; `dir/.` and `dir/` mean something of their own, and stay."""
    return os.path.join(os.getcwd(), path)
