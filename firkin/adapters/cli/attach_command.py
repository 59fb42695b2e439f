"""`firkin attach`: joins a container of a pod to this terminal."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from .detach_keys import DEFAULT_DETACH_KEYS, DetachKeysType
from .interruption import Interrupted, Interruptions
from .pod_argument import container_option, pod_argument
from .pod_end import tell
from .process_output import input_passed_on, shown
from .services import CliServices

if TYPE_CHECKING:
    from firkin.domain.process import ExitStatus
    from firkin.domain.supervised_pod import ContainerSummary
    from firkin.ports.pod_control import AttachedProcess

_HELP = """Show what a container writes from now on, and pass standard input on when it was started with -i.

\b
  firkin run -d -it --name shell oci:images:debian bash
  firkin attach shell                                   ctrl-p ctrl-q leaves it running
  firkin attach --no-stdin -c app web

Any number of commands may be attached. The detach keys, Ctrl-C without a terminal, or the end of this terminal end
the attachment, not the container; `firkin stop` ends the pod.

\b
Exit codes: those of the container once it has ended; 0 after the detach keys; 128+N when signal N ended the command;
  125  firkin itself failed"""


@click.command("attach", help=_HELP)
@click.option("--no-stdin", is_flag=True, help="Only show output.")
@click.option(
    "--detach-keys",
    type=DetachKeysType(),
    default=DEFAULT_DETACH_KEYS,
    show_default=True,
    help='The keys that end the attachment; "" for none.',
)
@container_option
@pod_argument
@click.pass_obj
def command(services: CliServices, no_stdin: bool, detach_keys: bytes, container: str | None, pod: str) -> int:
    chosen = services.long_lived.registry().record(pod).container(container)
    interruptions = Interruptions(starting_seconds=0)
    attachment = _Attachment(services, chosen, chosen.has_stdin and not no_stdin, detach_keys)
    try:
        status = asyncio.run(interruptions.run(attachment.run(pod)))
    except Interrupted as interrupted:
        return interrupted.exit_code
    if status is None:
        tell(f"detached; pod {pod} runs on")
        return 0
    return status.code


class _Attachment:
    def __init__(
        self, services: CliServices, container: ContainerSummary, with_input: bool, detach_keys: bytes
    ) -> None:
        self._services = services
        self._container = container
        self._with_input = with_input
        self._detach_keys = detach_keys

    async def run(self, pod: str) -> ExitStatus | None:
        """Stay attached; None when the detach keys were pressed."""
        from firkin.domain.ids import PodId

        connector = self._services.long_lived.connector()
        async with (
            connector.connected(PodId(pod)) as control,
            control.attached(self._container.id, with_input=self._with_input) as process,
            asyncio.TaskGroup() as group,
        ):
            is_detached = asyncio.get_running_loop().create_future()
            async with AsyncExitStack() as stack:
                await self._join(stack, process, is_detached)
                showing = group.create_task(shown(process))
                await asyncio.wait({showing, is_detached}, return_when=asyncio.FIRST_COMPLETED)
            if not showing.done():
                showing.cancel()
                return None
            await showing
            return await process.wait()

    async def _join(self, stack: AsyncExitStack, process: AttachedProcess, is_detached: asyncio.Future[None]) -> None:
        if not self._with_input:
            return
        if not (self._container.has_terminal and os.isatty(0)):
            await stack.enter_async_context(input_passed_on(process))
            return
        from .terminal_process import on_this_terminal

        def detach() -> None:
            if not is_detached.done():
                is_detached.set_result(None)

        await stack.enter_async_context(on_this_terminal(process, self._detach_keys, detach))
