"""`firkin exec`: a further process in a container of a pod."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from .detach_keys import DEFAULT_DETACH_KEYS, DetachKeysType
from .interruption import Interrupted, Interruptions
from .pod_argument import container_option, pod_argument
from .pod_end import tell
from .process_output import input_passed_on, shown
from .services import CliServices
from .variable_type import VariableType

if TYPE_CHECKING:
    from firkin.domain.ids import PodId
    from firkin.domain.process import ExitStatus
    from firkin.ports.pod_control import ExecRequest, ExecutedProcess

_DETACH_SECONDS = 10.0

_HELP = """Run CMD in a container of a running pod.

\b
  firkin exec web ls /
  firkin exec -it web sh                                a shell on this terminal; ctrl-p ctrl-q leaves it running
  echo hello | firkin exec -i -c app web sh -c 'cat > /tmp/hello'
  firkin exec -e DEBUG=1 -w /srv -u nobody web env

Environment, directory and user are those of the container unless given here. The process ends with this command:
Ctrl-C and SIGTERM ask it to end, and a second one kills it. With -t, every key is the process's but the detach keys,
which leave it running: nobody can join it again, what it writes is dropped, and it lives no longer than its container.

\b
Exit codes: those of CMD; 0 after the detach keys; 128+N when signal N ended it;
  125  firkin itself failed        126  CMD cannot be executed        127  CMD was not found"""


@click.command("exec", help=_HELP, context_settings={"allow_interspersed_args": False})
@click.option("-i", "--interactive", is_flag=True, help="Pass standard input on.")
@click.option("-t", "--tty", is_flag=True, help="Give the process a terminal, joined to this one.")
@click.option(
    "--detach-keys",
    type=DetachKeysType(),
    default=DEFAULT_DETACH_KEYS,
    show_default=True,
    help='With -t, the keys that leave the process running; "" for none.',
)
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
    detach_keys: bytes,
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
        status = asyncio.run(interruptions.run(_run(services, pod, request, detach_keys, interruptions)))
    except Interrupted as interrupted:
        return interrupted.exit_code
    if status is None:
        tell(f"detached; the process in pod {pod} runs on")
        return 0
    return status.code


async def _run(
    services: CliServices, pod: str, request: ExecRequest, detach_keys: bytes, interruptions: Interruptions
) -> ExitStatus | None:
    """Run the process to its end; None when the detach keys were pressed."""
    from firkin.domain.ids import PodId

    async with (
        services.long_lived.connector().connected(PodId(pod)) as control,
        control.executed(request) as process,
    ):

        async def lived() -> ExitStatus | None:
            if request.terminal is not None:
                return await _on_terminal(process, PodId(pod), detach_keys)
            if request.has_stdin:
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


async def _on_terminal(process: ExecutedProcess, pod_id: PodId, detach_keys: bytes) -> ExitStatus | None:
    from firkin.domain.errors import SupervisorUnreachable

    from .terminal_process import on_this_terminal

    has_left = asyncio.Event()
    async with asyncio.TaskGroup() as group, on_this_terminal(process, detach_keys, has_left.set):
        leaving = group.create_task(has_left.wait())
        showing = group.create_task(shown(process))
        await asyncio.wait({leaving, showing}, return_when=asyncio.FIRST_COMPLETED)
        if not showing.done():
            await process.detach()
            await asyncio.wait({showing}, timeout=_DETACH_SECONDS)
        if not showing.done():
            raise SupervisorUnreachable(pod_id, "it does not answer to the detach keys")
        leaving.cancel()
        await showing
    return None if has_left.is_set() else await process.wait()
