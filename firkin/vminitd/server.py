"""The agent's process: sandbox first, then the socket, then waiting for the end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator

import grpc.aio

from firkin.domain.layout import CONTAINER_BUNDLES
from firkin.wire.agent_pb2_grpc import add_AgentServicer_to_server
from firkin.wire.sandbox_context_pb2_grpc import add_SandboxContextServicer_to_server

from .agent import GuestAgent, remove_control_groups
from .host_streams import HostStreams
from .options import AgentOptions
from .services.agent_service import AgentService
from .services.decoding import DecodingInterceptor
from .services.sandbox_context_service import SandboxContextService

_PR_SET_CHILD_SUBREAPER = 36
_MESSAGE_BYTES = 16 * 1024 * 1024
_CLOSE_SECONDS = 5.0
_SERVER_GRACE_SECONDS = 0.2
_SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)


def run_agent(options: AgentOptions) -> int:
    """Run the agent until SIGTERM, SIGINT or the end of its lifeline; returns its exit code."""
    try:
        options = _prepared(options)
        _make_way(options.socket_path)
        asyncio.run(_serve(options))
        return 0
    except OSError as error:
        print(f"vminitd: cannot start: {error}", file=sys.stderr, flush=True)
        return 1


def _prepared(options: AgentOptions) -> AgentOptions:
    """Make the process ready to be the parent of containers; with `is_init`, its namespaces a sandbox."""
    os.umask(0o022)
    if options.lifeline is not None:
        os.set_inheritable(options.lifeline, False)
    if not options.is_init:
        _become_subreaper()
        return options
    # Only an init imports it.
    import msgspec

    from .sandbox_init import set_up_sandbox

    inside = set_up_sandbox(options.host_directory, options.host_name, options.store_directory, options.host_paths)
    # Or a directory of the host stays in use, and a relative path leads into it.
    os.chdir("/")
    socket_path = options.socket_path
    if os.path.dirname(socket_path) == options.host_directory.rstrip("/"):
        socket_path = f"{inside}/{os.path.basename(socket_path)}"
    return msgspec.structs.replace(options, host_directory=inside, socket_path=socket_path)


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the agent cannot become the reaper of its containers' processes")


def _make_way(socket_path: str) -> None:
    """Remove a socket that nobody listens on any more.

    Raises:
        OSError: somebody listens on it, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(socket_path).st_mode):
            raise FileExistsError(f"{socket_path} exists and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(socket_path) == 0:
            raise OSError(f"another agent listens on {socket_path}")
    os.unlink(socket_path)


async def _serve(options: AgentOptions) -> None:
    async with listening_agent(options, HostStreams(options.host_directory)) as ended:
        await ended.wait()


@contextlib.asynccontextmanager
async def listening_agent(options: AgentOptions, host: HostStreams) -> AsyncIterator[asyncio.Event]:
    """An agent that answers, until it is left; the event says that somebody wants it to end."""
    state = "/run/firkin" if options.is_init else f"/run/firkin-vminitd-{os.getpid()}"
    bundles = str(CONTAINER_BUNDLES) if options.is_init else f"{state}/bundles"
    agent = GuestAgent(host, options.host_directory, options.runtime, state, bundles, is_init=options.is_init)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.lifeline is not None:
        _watch_lifeline(loop, options.lifeline, ended)
    agent.reaper.install()
    os.makedirs(state, mode=0o700, exist_ok=True)
    server = grpc.aio.server(options=_SERVER_OPTIONS, interceptors=[DecodingInterceptor()])
    add_AgentServicer_to_server(AgentService(agent), server)
    add_SandboxContextServicer_to_server(SandboxContextService(agent), server)
    _listen(server, options.socket_path)
    await server.start()
    agent.is_listening()
    try:
        yield ended
    finally:
        await _end(server, agent, options)


def _listen(server: grpc.aio.Server, socket_path: str) -> None:
    # The socket appears with the rights that this mask leaves: whoever can connect controls the sandbox.
    before = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{socket_path}")
    except RuntimeError as error:
        raise OSError(f"cannot listen on {socket_path}") from error
    finally:
        os.umask(before)


def _watch_lifeline(loop: asyncio.AbstractEventLoop, lifeline: int, ended: asyncio.Event) -> None:
    os.set_blocking(lifeline, False)

    def on_readable() -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(lifeline, 4096):
                loop.remove_reader(lifeline)
                ended.set()

    loop.add_reader(lifeline, on_readable)


async def _end(server: grpc.aio.Server, agent: GuestAgent, options: AgentOptions) -> None:
    """Kill the containers, answer who still waits, and leave nothing behind, within a bounded time."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await agent.close()
            await server.stop(_SERVER_GRACE_SECONDS)
    except TimeoutError:
        print(f"vminitd: not everything ended within {_CLOSE_SECONDS:g} s", file=sys.stderr, flush=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(options.socket_path)
    remove_control_groups()
    if not options.is_init:
        agent.remove_state()
