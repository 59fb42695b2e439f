"""What a pod does to its containers by itself: probes and hooks."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import FirkinError
from firkin.domain.probes import ExecAction, HookAction, ProbeAction, SleepAction
from firkin.domain.process import StdioOptions

from .container_exec import start_exec
from .container_record import ContainerRecord
from .open_pod import OpenPod

_REQUEST_SECONDS = 60.0
"""How long a request may take that has no timeout of its own."""


async def action_failure(
    pod: OpenPod, record: ContainerRecord, action: ProbeAction | HookAction, timeout_seconds: float | None
) -> str | None:
    """Do it once, to its end; returns how it failed, as the second half of a sentence, or None.

    What takes longer than the timeout is broken off.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            match action:
                case ExecAction(command):
                    return await _command_failure(pod, record, command)
                case SleepAction(seconds):
                    await asyncio.sleep(seconds)
                    return None
                case _:
                    return await pod.agent.check_port(action, timeout_seconds or _REQUEST_SECONDS)
    except TimeoutError:
        return f"took longer than {timeout_seconds:g} s"
    except FirkinError as error:
        return f"could not run: {error}"


async def _command_failure(pod: OpenPod, record: ContainerRecord, command: tuple[str, ...]) -> str | None:
    """Run a command in a container, without its output."""
    process = await start_exec(pod, record, command, stdio=StdioOptions(), while_stopping=True)
    async with process:
        status = await process.wait()
    return None if status.success else f"ended with {status}"
