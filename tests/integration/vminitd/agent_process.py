"""A guest agent in fresh namespaces, a rootfs of busybox, and the host's end of its streams."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
from google.rpc.status_pb2 import Status

from firkin.wire import agent_pb2 as wire
from firkin.wire.agent_pb2_grpc import AgentStub
from firkin.wire.sandbox_context_pb2_grpc import SandboxContextStub

if TYPE_CHECKING:
    from firkin.wire.agent_pb2_grpc import AgentAsyncStub
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

START_SECONDS = 60.0
CALL_SECONDS = 90.0
"""Whatever takes longer hangs: also the last of many that are asked for at once, on a machine that is busy."""
_NAMESPACES = ("--pid", "--mount", "--net", "--ipc", "--uts", "--cgroup")
_RECONNECT_SOON = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20))
_COMMANDS = ("sh", "cat", "true", "false", "sleep", "echo", "dd", "yes", "head", "id", "kill", "ls", "stty")


def make_rootfs(path: Path) -> Path:
    """A rootfs of busybox with two users, a file that is no program, and one that may not be executed."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox is missing: run `apt-get install busybox-static`"
    for name in ("bin", "etc", "proc", "dev", "sys", "tmp"):
        (path / name).mkdir(parents=True)
    shutil.copy(busybox, path / "bin/busybox")
    for name in _COMMANDS:
        (path / "bin" / name).symlink_to("busybox")
    (path / "bin/garbage").write_bytes(b"\0\1 no program")
    (path / "bin/garbage").chmod(0o755)
    (path / "bin/script").write_text("#!/no/interpreter\n")
    (path / "bin/script").chmod(0o755)
    (path / "bin/plain").write_text("text")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nann:x:1001:\nstaff:x:50:ann\n")
    return path


def runtime_spec(rootfs: Path, *args: str, username: str = "", memory_bytes: int | None = None) -> bytes:
    """A small runtime spec; the agent completes it."""
    resources = {} if memory_bytes is None else {"memory": {"limit": memory_bytes, "swap": memory_bytes}}
    return json.dumps(
        {
            "ociVersion": "1.1.0",
            "process": {
                "args": args,
                "env": ["PATH=/bin"],
                "cwd": "/",
                "user": {"uid": 0, "gid": 0, "username": username},
            },
            "root": {"path": str(rootfs)},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "cgroup")],
                "resources": resources,
            },
        }
    ).encode()


class HostStream:
    """The host's end of one stream of a process."""

    def __init__(
        self, port: int, token: bytes, accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    ):
        self.message = wire.BulkStream(port=port, token=token)
        self._accepted = accepted
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ends(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Both directions, once the guest has connected; the token is checked and gone."""
        if self._streams is None:
            reader, writer = await asyncio.wait_for(self._accepted.get(), START_SECONDS)
            if self.message.token:
                assert await reader.readexactly(16) == self.message.token
            self._streams = (reader, writer)
        return self._streams

    async def read(self) -> bytes:
        """Everything until the end."""
        reader, _ = await self.ends()
        return await asyncio.wait_for(reader.read(), CALL_SECONDS)


class RunningAgent:
    """An agent that answers, and what the host has of it."""

    def __init__(
        self, process: subprocess.Popen[bytes], sockets: Path, channel: grpc.aio.Channel, lifeline: int
    ) -> None:
        self.process = process
        self.sockets = sockets
        self.lifeline = lifeline
        self.channel = channel
        self.v1: AgentAsyncStub = AgentStub(channel)
        self.context: SandboxContextAsyncStub = SandboxContextStub(channel)
        self._port = 0x10000000
        self._stack = contextlib.AsyncExitStack()

    async def listen(self, *, token: bool = True) -> HostStream:
        """Listen on the next port."""
        self._port += 1
        port = self._port
        accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._stack.callback(writer.close)
            await accepted.put((reader, writer))

        server = await asyncio.start_unix_server(on_connection, self.sockets / f"host-{port}.sock")
        self._stack.callback(server.close)
        return HostStream(port, secrets.token_bytes(16) if token else b"", accepted)

    async def start(self, container_id: str, spec: bytes, **streams: HostStream) -> wire.StartContainerResponse:
        """Start a container."""
        stdio = wire.Stdio(**{name: stream.message for name, stream in streams.items()})
        request = wire.StartContainerRequest(container_id=container_id, runtime_spec=spec, stdio=stdio)
        return await self.v1.StartContainer(request, timeout=CALL_SECONDS)

    async def execute(
        self, container_id: str, process_id: str, spec: bytes, **streams: HostStream
    ) -> wire.StartProcessResponse:
        """Start an exec."""
        stdio = wire.Stdio(**{name: stream.message for name, stream in streams.items()})
        request = wire.StartProcessRequest(
            container_id=container_id, process_id=process_id, runtime_spec=spec, stdio=stdio
        )
        return await self.v1.StartProcess(request, timeout=CALL_SECONDS)

    async def wait(self, container_id: str, process_id: str = "") -> wire.WaitProcessResponse:
        """Wait for a process; the container's init by default."""
        request = wire.WaitProcessRequest(container_id=container_id, process_id=process_id or container_id)
        return await self.v1.WaitProcess(request, timeout=CALL_SECONDS)

    async def kill(self, container_id: str, signal: int, process_id: str = "") -> None:
        """Send a signal."""
        request = wire.KillProcessRequest(
            container_id=container_id, process_id=process_id or container_id, signal=signal
        )
        await self.v1.KillProcess(request, timeout=CALL_SECONDS)

    async def remove(self, container_id: str) -> list[str]:
        """Remove a container; returns the problems."""
        request = wire.RemoveContainerRequest(container_id=container_id)
        return list((await self.v1.RemoveContainer(request, timeout=CALL_SECONDS)).problems)

    async def output(self, container_id: str, spec: bytes) -> tuple[wire.WaitProcessResponse, bytes, bytes]:
        """Run a container to its end and remove it."""
        stdout, stderr = await self.listen(), await self.listen()
        await self.start(container_id, spec, stdout=stdout, stderr=stderr)
        end = await self.wait(container_id)
        result = end, await stdout.read(), await stderr.read()
        assert await self.remove(container_id) == []
        return result

    def cut_lifeline(self) -> None:
        """What the host's death looks like to the agent; twice is fine."""
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1

    async def aclose(self) -> None:
        """Close the host's ends."""
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def running_agent(
    *arguments: str, launcher: Sequence[str] = (), is_init: bool = True
) -> AsyncIterator[RunningAgent]:
    """Run an agent in fresh namespaces, begun by `launcher` if given, as their init if it is one; leaving ends it."""
    with _socket_directory() as sockets:
        reading, writing = os.pipe()
        process = _spawned(sockets, reading, ("--init", *arguments) if is_init else arguments, launcher)
        os.close(reading)
        try:
            async with grpc.aio.insecure_channel(f"unix:{sockets}/guest-1024.sock", _RECONNECT_SOON) as channel:
                agent = RunningAgent(process, sockets, channel, writing)
                try:
                    await agent.v1.GetInfo(wire.GetInfoRequest(), wait_for_ready=True, timeout=START_SECONDS)
                    yield agent
                finally:
                    agent.cut_lifeline()
                    await agent.aclose()
        finally:
            try:
                await asyncio.to_thread(process.wait, START_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _spawned(
    sockets: Path, lifeline: int, arguments: Sequence[str], launcher: Sequence[str]
) -> subprocess.Popen[bytes]:
    command = [
        *("unshare", "--fork", "--kill-child", "--mount-proc", *_NAMESPACES),
        *(word.replace("SOCKETS", str(sockets)) for word in launcher),
        *(sys.executable, "-m", "firkin.vminitd", "--listen", f"unix:{sockets}/guest-1024.sock"),
        *("--host-dir", str(sockets), "--lifeline-fd", str(lifeline), *arguments),
    ]
    return subprocess.Popen(command, pass_fds=[lifeline], stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def _socket_directory() -> Iterator[Path]:
    # Short: the path of a unix socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="fk-", dir="/tmp") as name:
        yield Path(name)


def detail_of(error: grpc.aio.AioRpcError) -> wire.ErrorDetail:
    """The rich detail of a failed call."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            detail = wire.ErrorDetail()
            assert Status.FromString(value).details[0].Unpack(detail)
            return detail
    raise AssertionError(f"the error has no details: {error}")


def container_cgroups() -> list[str]:
    """Control groups of containers that this machine shows."""
    return [str(path) for path in Path("/sys/fs/cgroup").glob("*/container/*") if path.is_dir()]
