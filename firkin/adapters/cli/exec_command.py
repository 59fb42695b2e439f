"""`firkin exec`: a further process in a container of a pod."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from .interruption import Interrupted, Interruptions
from .pod_argument import container_option, pod_argument
from .process_output import input_passed_on, shown
from .services import CliServices
from .variable_type import VariableType

if TYPE_CHECKING:
    from firkin.domain.process import ExitStatus
    from firkin.ports.pod_control import ExecRequest

_HELP = """Run CMD in a container of a running pod.

\b
  firkin exec web ls /
  firkin exec -it web sh                                a shell on this terminal
  echo hello | firkin exec -i -c app web sh -c 'cat > /tmp/hello'
  firkin exec -e DEBUG=1 -w /srv -u nobody web env

Environment, directory and user are those of the container unless given here. The process ends with this command:
Ctrl-C and SIGTERM ask it to end, and a second one kills it; with -t, every key is the process's.

\b
Exit codes: those of CMD; 128+N when signal N ended it;
  125  firkin itself failed        126  CMD cannot be executed        127  CMD was not found"""


@click.command("exec", help=_HELP, context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the process a terminal, joined to this one.")
@click.option("-e", "--env", "environment", type=VariableType(), multiple=True, help="Set a variable (repeatable).")
@click.option("-w", "--workdir", "working_dir", metavar="DIR", help="Start in DIR.")
@click.option("-u", "--user", metavar="USER", help="Run as name, uid, name:group or uid:gid.")
@container_option
@pod_argument
@click.argument("command", metavar="CMD [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def command(
    services: CliServices,
    interactive: bool,
    tty: bool,
    environment: tuple[tuple[str, str], ...],
    working_dir: str | None,
    user: str | None,
    container: str | None,
    pod: str,
    command: tuple[str, ...],
) -> int:
    from firkin.domain.terminal import TerminalSize
    from firkin.ports.pod_control import ExecRequest

    from .local_terminal import LocalTerminal, NoLocalTerminal

    if tty and not os.isatty(0):
        raise NoLocalTerminal
    record = services.long_lived.registry().record(pod)
    command = command[1:] if command[:1] == ("--",) else command
    size = TerminalSize(*LocalTerminal().size) if tty else None
    request = ExecRequest(
        record.container(container).id, command, environment, working_dir, user, interactive or tty, size
    )
    interruptions = Interruptions()
    try:
        return asyncio.run(interruptions.run(_run(services, pod, request, interruptions))).code
    except Interrupted as interrupted:
        return interrupted.exit_code


async def _run(services: CliServices, pod: str, request: ExecRequest, interruptions: Interruptions) -> ExitStatus:
    from firkin.domain.ids import PodId

    async with (
        services.long_lived.connector().connected(PodId(pod)) as control,
        control.executed(request) as process,
    ):

        async def lived() -> ExitStatus:
            if request.terminal is not None:
                from .terminal_process import on_this_terminal

                async with on_this_terminal(process, b"", _nothing):
                    await shown(process)
            elif request.has_stdin:
                async with input_passed_on(process):
                    await shown(process)
            else:
                await shown(process)
            return await process.wait()

        return await interruptions.guarded(
            lived(),
            stop=lambda: process.kill(signal.SIGTERM),
            kill=lambda: process.kill(signal.SIGKILL),
        )


def _nothing() -> None:
    """There are no detach keys."""
