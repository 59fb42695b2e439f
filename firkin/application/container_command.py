"""Commands that a pod runs in its containers by itself: probes and hooks."""

from __future__ import annotations

import asyncio

from firkin.domain.errors import FirkinError
from firkin.domain.process import StdioOptions

from .container_exec import start_exec
from .container_record import ContainerRecord
from .open_pod import OpenPod


async def command_failure(
    pod: OpenPod, record: ContainerRecord, command: tuple[str, ...], timeout_seconds: float | None
) -> str | None:
    """Run a command in a container to its end, without its output; returns how it failed, or None.

    What takes longer than the timeout is killed.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            process = await start_exec(pod, record, command, stdio=StdioOptions(), while_stopping=True)
            async with process:
                status = await process.wait()
    except TimeoutError:
        return f"took longer than {timeout_seconds:g} s"
    except FirkinError as error:
        return f"could not run: {error}"
    return None if status.success else f"ended with {status}"
