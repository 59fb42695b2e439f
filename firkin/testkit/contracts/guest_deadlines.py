"""What is told of agents and ports that do not answer: that they did not, in the time that was given."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path

import pytest

from firkin.domain.errors import BootFailed
from firkin.domain.probes import HttpGetAction
from firkin.ports.agent_network import PORT_CHECKS

from ..agent_place import AgentPlace
from ..silent_sandbox import SilentSandbox

PORT = 8080
_SILENT_SERVER = f"mkfifo /tmp/silence; exec 3<>/tmp/silence; while :; do nc -l -p {PORT} <&3; done"
_SHORT_SECONDS = 1.0
_LONG_SECONDS = 60.0
"""Beyond any deadline of these tests, also on a machine that is busy."""


async def test_connecting_gives_an_agent_up_that_is_not_there(agent_place: AgentPlace) -> None:
    with tempfile.TemporaryDirectory(prefix="firkin-") as directory:
        await _given_up(agent_place, Path(directory))


async def test_connecting_gives_an_agent_up_that_takes_connections_and_never_answers(agent_place: AgentPlace) -> None:
    # Not in the directory of the test, whose path is too long for a socket's, unix(7).
    with tempfile.TemporaryDirectory(prefix="firkin-") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/guest-1024.sock")
        listener.listen()
        await _given_up(agent_place, Path(directory))


async def _given_up(place: AgentPlace, socket_directory: Path) -> None:
    sandbox = SilentSandbox(socket_directory)
    async with asyncio.timeout(_LONG_SECONDS):
        with pytest.raises(BootFailed):
            async with place.connector.connected(sandbox, _SHORT_SECONDS):
                pass


async def test_a_port_that_takes_connections_and_never_answers_fails_in_time(agent_place: AgentPlace) -> None:
    async with agent_place.opened() as it, asyncio.timeout(_LONG_SECONDS):
        with it.claiming(PORT_CHECKS):
            await it.started("c", "/bin/sh", "-c", _SILENT_SERVER)
            # One connection after the other is taken: between two of them it may be refused.
            failure: str | None = "refused"
            while failure is not None and "refused" in failure:
                failure = await it.agent.check_port(HttpGetAction(PORT), _SHORT_SECONDS)
            assert failure is not None
            await it.removed("c")
