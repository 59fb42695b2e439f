"""Processes whose end and whose removal come at the same time."""

from __future__ import annotations

import asyncio

from firkin.domain.process import ProcessRef
from firkin.vminitd.bundles import LaunchFiles
from firkin.vminitd.events import EventHub
from firkin.vminitd.oom import OomCounter
from firkin.vminitd.process_stdio import ProcessStdio
from firkin.vminitd.processes import GuestProcess
from firkin.vminitd.reaper import Child
from firkin.vminitd.runtime import Launched


async def test_a_process_that_is_forgotten_when_it_has_just_ended_is_told_as_ended() -> None:
    loop = asyncio.get_running_loop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(str(context.get("exception"))))
    launch = LaunchFiles("true", "/none/config.json", "/none/runtime.log", "/none/init.pid")
    process = GuestProcess(ProcessRef("c", "job"), launch, ProcessStdio(), OomCounter("/none"), EventHub())
    ended: asyncio.Future[int] = loop.create_future()
    process.started(Launched(Child(1 << 22, ended), 0.0))
    ended.set_result(7 << 8)
    process.forget()
    assert (await process.wait()).status.code == 7
    assert complaints == []
