"""Starting pods that outlive the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from .services import CliServices, SupervisedStart
from .size_type import SizeType

if TYPE_CHECKING:
    from firkin.domain.container_spec import PodContainerSpec
    from firkin.domain.pod_spec import PodSpec

_DEFAULT_LOG_BYTES = 10 * 2**20

F = TypeVar("F", bound=Callable[..., object])


def detach_options(function: F) -> F:
    """Add -d, and what only pods that go on by themselves have.

    --rm is taken without -d as well: nothing is kept then, which is what whoever types it asks for.
    """
    removal = click.option(
        "--rm", "is_removed_at_end", is_flag=True, help="Keep nothing once the pod has ended; without -d it is so."
    )
    log_max = click.option(
        "--log-max",
        "log_max_bytes",
        type=SizeType(),
        default=_DEFAULT_LOG_BYTES,
        show_default="10MiB",
        help="With -d, how much is kept on disk of what each container writes.",
    )
    detach = click.option("-d", "--detach", is_flag=True, help="Let the pod go on by itself, and print its name.")
    return detach(log_max(removal(function)))


def logged(spec: PodSpec, max_bytes: int) -> PodSpec:
    """The pod with everything that its containers write in their logs."""
    from msgspec.structs import replace

    def with_log(one: PodContainerSpec) -> PodContainerSpec:
        return one.log(max_bytes)

    return replace(
        spec,
        containers=tuple(map(with_log, spec.containers)),
        init_containers=tuple(map(with_log, spec.init_containers)),
    )


def started_and_named(services: CliServices, start: SupervisedStart, *, verbose: bool) -> int:
    """Start a pod and print its name; returns the exit code."""
    # Threads and loops begin only after the supervisor's process has.
    from .template_progress import TemplateProgressDisplay

    with TemplateProgressDisplay(plain_lines=verbose) as display:

        def running(name: str) -> None:
            display.close()
            click.echo(name)

        services.long_lived.start(start, display, running)
    return 0
