"""Random messages to every call of both services: the agent answers on, and the machine around it stays as it was."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from firkin.domain.context_additions import EMPTY_DIR, PROCESS_NAMESPACE, VOLUME_PART
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context
from tests.machine_state import MachineState

from .agent_process import CALL_SECONDS, RunningAgent, detail_of, make_rootfs, running_agent, runtime_spec
from .error_subjects import unmentioned
from .random_messages import RandomMessages

Note = Callable[[str, object], None]

pytestmark = pytest.mark.real_time

# For a longer run: FIRKIN_PROTOCOL_FUZZ_SECONDS=600 FIRKIN_PROTOCOL_FUZZ_SEED=7.
_SECONDS = float(os.environ.get("FIRKIN_PROTOCOL_FUZZ_SECONDS", "8"))
_SEED = int(os.environ.get("FIRKIN_PROTOCOL_FUZZ_SEED", "1"))
_CALL_SECONDS = 1.0
_CALLERS = 6
_REPOSITORY = Path(__file__).parents[3]
_GARBAGE_SHARE = 0.15
_NEVER = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE)
_LATE = (grpc.StatusCode.DEADLINE_EXCEEDED,)
"""What a client makes of a call that takes longer than it wants to wait: some wait for good."""

_METHODS: tuple[MethodDescriptor, ...] = (
    *wire.DESCRIPTOR.services_by_name["Agent"].methods,
    *context.DESCRIPTOR.services_by_name["SandboxContext"].methods,
)
_NAMES = {method.name for method in _METHODS}
_IDS = ("c1", "c2", "c1", "e1", "e2", "", "..", "a/b", "x" * 65, "pod")
_OTHER_MOUNTS = ("/mnt", "/proc/self/fd/1", "/nonexistent/a", "/", "/run", "/run/firkin/pod-store", "/dev/null", "..")


def _paths(scratch: Path, rootfs: Path) -> tuple[str, ...]:
    names = ("", "/a", "/a/b", "/c", "/store", "/a/../c", "/s.sock", "/" + "n" * 300, "/d" * 3000)
    return (*(f"{scratch}{name}" for name in names), str(rootfs), "relative", "", ".", "a\0b", *_OTHER_MOUNTS)


_OPTIONS = (
    "path=a", "path=../..", "medium=disk", "medium=memory", "size=4096", "group=1",
    "ro", "rw", "bind", "remount", "rslave", "size=1m", "lowerdir=/x", "defaults", "move",
)  # fmt: skip


def _messages(scratch: Path, rootfs: Path) -> RandomMessages:
    paths = _paths(scratch, rootfs)
    texts = (*paths, *_IDS, "1", "lo", "sha256:" + "0" * 64, "tmpfs", "bind", "ro", "ndots:1", "\x7f", "ä€", "%s%n")
    by_field: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("path", "destination", "location", "guestPath", "directory", "root", "base", "store_path"), paths
    )
    by_field |= dict.fromkeys(("id", "containerID", "container_id", "process_id", "container_ids", "pod_id"), _IDS)
    by_field |= {
        "interface": ("lo", "lo", "eth0", "", "x" * 16),
        "ipv4Address": ("10.0.0.1/8", "127.0.0.1/8", "10.0.0.1", "1.2.3.4/33", ""),
        "ipv6Address": ("fd00::1/64", "::1/128", "fd00::1", "fe80::1%lo/64"),
        "key": ("FIRKIN_FUZZ", "net.ipv4.ip_forward", "kernel.shmmax", "vm.swappiness", "net..x", "A=B", ""),
        "guestPath": (*paths, "tcp:1", "tcp:0", "tcp-connected:127.0.0.1:1", "tcp-connected:[::1]:9", "tcp-connected:"),
        "type": ("tmpfs", "bind", "overlay", "", "M", "E", "nonsense", VOLUME_PART, EMPTY_DIR, PROCESS_NAMESPACE),
        "options": _OPTIONS,
        "ociRuntimePath": ("", "", "/bin/true", "/nonexistent"),
        "oci_runtime_path": ("", "", "/bin/true", "/nonexistent"),
    }
    made = RandomMessages(_SEED, texts, by_field)
    commands = (("true",), ("sleep", "60"), ("nope",), ("sh", "-c", "yes & exit 3"))
    made.documents = [runtime_spec(rootfs, *command) for command in commands] + [b"{}", b"[]", b'{"linux":{}}', b"null"]
    return made


class _Caller:
    """Makes random calls and keeps what came of them."""

    def __init__(self, agent: RunningAgent, channel: grpc.aio.Channel, messages: RandomMessages) -> None:
        self._agent = agent
        self._channel = channel
        self._messages = messages
        self.calls: Counter[str] = Counter()
        self.defects: list[str] = []

    async def run(self, deadline: float) -> None:
        while self._is_to_go_on(deadline) and self._agent.process.poll() is None:
            # Every method in turn, in a changing order: each gets its share.
            for method in self._messages.random.sample(_METHODS, len(_METHODS)):
                if self._is_to_go_on(deadline):
                    await self._call(method)

    def _is_to_go_on(self, deadline: float) -> bool:
        # A machine that is busy may not come to each call in the time that is meant for it.
        return time.monotonic() < deadline or self.calls.keys() != _NAMES

    async def _call(self, method: MethodDescriptor) -> None:
        message = self._messages.message(method.input_type)
        data = message.SerializeToString()
        if self._messages.random.random() < _GARBAGE_SHARE:
            message, data = type(message)(), self._messages.damaged(data)
        name = f"/{method.containing_service.full_name}/{method.name}"
        self.calls[method.name] += 1
        try:
            await self._answer(method, name, data)
        except grpc.aio.AioRpcError as error:
            wrong = _what_is_wrong(error, message)
            if wrong:
                self.defects.append(
                    f"{name}: {wrong}: {error.code().name} {(error.details() or '')[:300]} for {data[:200]!r}"
                )

    async def _answer(self, method: MethodDescriptor, name: str, data: bytes) -> None:
        async def requests() -> AsyncIterator[bytes]:
            yield data

        if method.server_streaming:
            async for _ in self._channel.unary_stream(name, _same, _same)(data, timeout=_CALL_SECONDS):
                pass
        elif method.client_streaming:
            await self._channel.stream_unary(name, _same, _same)(requests(), timeout=_CALL_SECONDS)
        else:
            await self._channel.unary_unary(name, _same, _same)(data, timeout=_CALL_SECONDS)


async def test_no_message_stops_the_agent_or_leaves_its_sandbox(tmp_path: Path, record_property: Note) -> None:
    root, scratch = tmp_path / "root", tmp_path / "scratch"
    rootfs, kept = make_rootfs(tmp_path / "rootfs"), make_rootfs(tmp_path / "kept")
    root.mkdir()
    scratch.mkdir()
    files_before, kernel_before = _listing(tmp_path), _kernel_settings()
    script = str(Path(__file__).parent / "throwaway_machine.sh")
    variables = (f"THROWAWAY_ALSO={' '.join(_other_filesystems())}", f"PYTHONPATH={_REPOSITORY}")
    launcher = ("env", *variables, "sh", script, str(root), str(scratch), "SOCKETS")
    async with running_agent(launcher=launcher) as agent:
        messages = _messages(scratch, rootfs)
        async with grpc.aio.insecure_channel(f"unix:{agent.sockets}/guest-1024.sock") as channel:
            caller = _Caller(agent, channel, messages)
            deadline = time.monotonic() + _SECONDS
            await asyncio.gather(*(caller.run(deadline) for _ in range(_CALLERS)))
        told = f"at least {min(caller.calls.values())} to each of {len(_METHODS)} calls, seed {_SEED}"
        record_property("firkin cases", ["random messages to the agent", caller.calls.total(), told])
        assert caller.defects == [], "\n".join(caller.defects)
        assert agent.process.poll() is None
        assert caller.calls.keys() == _NAMES
        await agent.v1.GetInfo(wire.GetInfoRequest(), timeout=CALL_SECONDS)
        end, out, _ = await agent.output("afterwards", runtime_spec(kept, "echo", "still here"))
    assert (end.code, out) == (0, b"still here\n")
    assert (_listing(tmp_path), _kernel_settings()) == (files_before, kernel_before)
    left = [mount for mount in MachineState.now().mounts if mount.startswith(str(tmp_path))]
    assert left == []


def _what_is_wrong(error: grpc.aio.AioRpcError, request: Message) -> str:
    """What is wrong with an error that answers a request; "" for a proper one. Of garbage the request is empty."""
    if error.code() in _LATE:
        return ""
    if error.code() in _NEVER:
        return "no status of the agent"
    detail = detail_of(error)
    if error.code() is grpc.StatusCode.INTERNAL and "has a defect" in detail.reason:
        return "a defect"
    if detail.errno <= 0:
        return f"errno {detail.errno}"
    subject = unmentioned(request, detail)
    return f"no {subject}" if subject else ""


def _same(data: bytes) -> bytes:
    return data


def _other_filesystems() -> Iterable[str]:
    """Where the agent's program lies, as far as that is not the machine's first filesystem."""
    for place in {sys.prefix, sys.base_prefix, str(_REPOSITORY)}:
        if os.stat(place).st_dev != os.stat("/").st_dev:
            yield place


def _listing(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.rglob("*"))


def _kernel_settings() -> dict[str, str]:
    names = ("vm/swappiness", "kernel/hostname", "net/ipv4/ip_forward", "kernel/shmmax")
    return {name: Path("/proc/sys", name).read_text() for name in names}
