"""Names of pods and containers on the command line, completed by the shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click
from click.shell_completion import CompletionItem

from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.supervised_pod import PodRecord

F = TypeVar("F", bound=Callable[..., object])


class _PodName(click.ParamType[str]):
    """The name of a pod; whether there is such a pod is found out later."""

    name = "POD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in _matching(_pods(ctx), incomplete)]


class _ContainerName(click.ParamType[str]):
    """The name of a container of the pod that is named elsewhere on the command line."""

    name = "CONTAINER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        pod = ctx.params.get("pod") or (ctx.params.get("pods") or (None,))[0]
        return [CompletionItem(name) for name in _matching(_containers(ctx, pod), incomplete)]


class CopyPlaceType(click.ParamType[str]):
    """One end of a copy: completes pods as `POD:`, and leaves files to the shell."""

    name = "PLACE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        pods = [CompletionItem(f"{name}:") for name in _matching(_pods(ctx), incomplete)]
        return pods or [CompletionItem(incomplete, type="file")]


def _pods(ctx: click.Context) -> list[str]:
    return [record.id for record in _records(ctx)]


def _containers(ctx: click.Context, pod: object) -> list[str]:
    return sorted({one.id for record in _records(ctx) if pod in (None, record.id) for one in record.containers})


def _records(ctx: click.Context) -> tuple[PodRecord, ...]:
    """What is kept; nothing when that cannot be read, for a completion has nobody to tell an error to."""
    from firkin.domain.errors import FirkinError

    services = ctx.find_object(CliServices)
    try:
        return () if services is None else services.long_lived.registry().records()
    except (FirkinError, OSError):
        return ()


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


pod_argument = click.argument("pod", type=_PodName())
pods_argument = click.argument("pods", type=_PodName(), nargs=-1, required=True, metavar="POD...")
container_option = click.option(
    "-c", "--container", type=_ContainerName(), help="Which container; may be left out when the pod has only one."
)
POD_NAME = _PodName()
