"""Doing something to each of several pods: what fails is told, and the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import click

from .pod_end import tell

if TYPE_CHECKING:
    from firkin.application.pod_ending import PodEnding
    from firkin.domain.ids import PodId

    from .services import CliServices


def for_each_pod(pods: Sequence[str], work: Callable[[PodId], Awaitable[object]]) -> int:
    """Do it for all at once, and print each name when it is done; returns the exit code."""
    return asyncio.run(_done(pods, work))


async def _done(pods: Sequence[str], work: Callable[[PodId], Awaitable[object]]) -> int:
    from firkin.domain.errors import FirkinError, PodNotFound
    from firkin.domain.ids import PodId

    async def done(name: str) -> bool:
        try:
            try:
                pod_id = PodId(name)
            except FirkinError:
                raise PodNotFound(name) from None
            printed = await work(pod_id)
        except FirkinError as error:
            tell(f"error: {error}")
            return False
        click.echo(name if printed is None else str(printed))
        return True

    outcomes = await asyncio.gather(*(done(name) for name in dict.fromkeys(pods)))
    return 0 if all(outcomes) else 1


def pod_ending(services: CliServices) -> PodEnding:
    """How pods end."""
    from firkin.application.pod_ending import PodEnding

    return PodEnding(services.long_lived.registry(), services.long_lived.connector())
