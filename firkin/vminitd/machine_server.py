"""The agent of a virtual machine, from its first connection to its last."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from .options import AgentOptions
from .server import listening_agent
from .vsock_streams import VsockStreams, agent_door

_SOCKET_DIRECTORY = "/run/firkin/host"
_AGENT_SOCKET = f"{_SOCKET_DIRECTORY}/agent.sock"


def serve_machine(line: socket.socket, on_listening: Callable[[], None]) -> None:
    """Run the agent until the host closes `line`, or somebody ends it by a signal."""
    os.umask(0o022)
    os.makedirs(_SOCKET_DIRECTORY, mode=0o700)
    options = AgentOptions(_AGENT_SOCKET, _SOCKET_DIRECTORY, is_init=True, lifeline=line.fileno())
    asyncio.run(_serve(options, on_listening))


async def _serve(options: AgentOptions, on_listening: Callable[[], None]) -> None:
    async with listening_agent(options, VsockStreams(options.host_directory)) as ended:
        with agent_door(options.socket_path):
            on_listening()
            await ended.wait()
