"""What SandboxContext does to a sandbox as a whole, and what it must not do to the machine around it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.domain.errors import AgentError, InvalidArgument, UnsupportedFeature
from firkin.vminitd.emulators import set_up_emulator
from firkin.vminitd.kernel import send_signal
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import detail_of, running_agent, runtime_spec

pytestmark = pytest.mark.real_time

_REFUSED = grpc.StatusCode.PERMISSION_DENIED


def _setting(path: str) -> str:
    return Path("/proc/sys", path).read_text()


async def test_settings_of_the_sandboxes_own_network_are_written(rootfs: Path) -> None:
    wanted = {"net.ipv4.ip_unprivileged_port_start": "81", "net/ipv4/conf/lo/forwarding": "1"}
    outside = _setting("net/ipv4/ip_unprivileged_port_start")
    async with running_agent() as agent:
        for _ in range(2):
            await agent.context.Sysctl(context.SysctlRequest(settings=wanted))
        script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/conf/lo/forwarding"
        _, out, _ = await agent.output("one", runtime_spec(rootfs, "sh", "-c", script))
    assert out == b"81\n1\n"
    assert _setting("net/ipv4/ip_unprivileged_port_start") == outside


async def test_settings_of_the_hosts_kernel_stay_and_all_names_are_checked_first() -> None:
    before = _setting("vm/swappiness")
    port = "net.ipv4.ip_unprivileged_port_start"
    async with running_agent() as agent:
        for settings, status, number in (
            ({port: "82", "vm.swappiness": "1"}, _REFUSED, errno.EPERM),
            ({port: "82", "kernel/../vm/swappiness": "1"}, grpc.StatusCode.INVALID_ARGUMENT, errno.EINVAL),
            ({port: "82", "net": "1"}, grpc.StatusCode.INVALID_ARGUMENT, errno.EINVAL),
            ({port: "82", "net.ipv4.tcp_syncookies": "\0"}, grpc.StatusCode.INVALID_ARGUMENT, errno.EINVAL),
            ({"net.ipv4.no_such_setting": "1"}, grpc.StatusCode.NOT_FOUND, errno.ENOENT),
            ({port: "many"}, grpc.StatusCode.INVALID_ARGUMENT, errno.EINVAL),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.Sysctl(context.SysctlRequest(settings=settings))
            assert failure.value.code() is status
            assert detail_of(failure.value).errno == number
        command = ["nsenter", "-t", str(agent.process.pid), "-n", "cat", f"/proc/sys/{port.replace('.', '/')}"]
        inside = await asyncio.to_thread(subprocess.check_output, command)
    assert inside == b"1024\n"
    assert _setting("vm/swappiness") == before


async def test_the_clock_of_the_host_is_not_set() -> None:
    async with running_agent() as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.context.SetTime(context.SetTimeRequest(sec=1_000_000_000, usec=5))
        assert failure.value.code() is _REFUSED
        assert detail_of(failure.value).errno == errno.EPERM
        for request in (context.SetTimeRequest(sec=-1), context.SetTimeRequest(sec=1, usec=1_000_000)):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.SetTime(request)
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert time.time() > 1_600_000_000


async def test_the_kernel_of_the_host_gets_no_emulator() -> None:
    request = context.SetupEmulatorRequest(
        name="firkin-test", type="M", magic="\\x7fELF", binary_path="/bin/true", flags="CF"
    )
    async with running_agent() as agent:
        with pytest.raises(AioRpcError) as failure:
            await agent.context.SetupEmulator(request)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert detail_of(failure.value).code == UnsupportedFeature.code


def test_an_emulator_is_registered_once_and_the_same_one_again_is_fine(tmp_path: Path) -> None:
    request = context.SetupEmulatorRequest(
        name="x86", type="M", magic="\\x7fELF\\x02", mask="\\xff\\xff", binary_path="/run/emulator", flags="CF"
    )
    with pytest.raises(UnsupportedFeature):
        set_up_emulator(request, str(tmp_path))
    (tmp_path / "register").touch()
    set_up_emulator(request, str(tmp_path))
    assert (tmp_path / "register").read_bytes() == b":x86:M::\\x7fELF\\x02:\\xff\\xff:/run/emulator:CF"
    # As binfmt_misc shows it.
    (tmp_path / "x86").write_text("enabled\ninterpreter /run/emulator\nflags: CF\noffset 0\nmagic 7f454c4602\n")
    (tmp_path / "register").write_bytes(b"")
    set_up_emulator(request, str(tmp_path))
    assert (tmp_path / "register").read_bytes() == b""
    # Another path, another magic, and magics that say nothing as an escape.
    for magic, path in (
        ("\\x7fELF\\x02", "/other"),
        ("\\x7fELF", "/run/emulator"),
        ("\\x", "/run/emulator"),
        ("\\u1234\\N{DOT}\\", "/run/emulator"),
    ):
        with pytest.raises(AgentError) as failure:
            set_up_emulator(
                context.SetupEmulatorRequest(name="x86", type="M", magic=magic, binary_path=path), str(tmp_path)
            )
        assert failure.value.errno == errno.EEXIST
    for name, magic, path in (
        ("a/b", "x", "/e"),
        ("", "x", "/e"),
        ("a", "x:y", "/e"),
        ("a", "x", "e"),
        ("a", "", "/e"),
    ):
        with pytest.raises(InvalidArgument):
            set_up_emulator(
                context.SetupEmulatorRequest(name=name, type="M", magic=magic, binary_path=path), str(tmp_path)
            )


async def test_stat_tells_each_type_of_file_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1234))
    (tmp_path / "link").symlink_to("/file")
    os.mkfifo(tmp_path / "fifo")
    async with running_agent() as agent:
        told = {}
        for path in ("/file", "/link", "/fifo", "/"):
            answer = await agent.context.Stat(context.StatRequest(path=path, root=str(tmp_path)))
            told[path] = answer.stat.mode, answer.stat.size
    assert [stat.S_IFMT(mode) for mode, _ in told.values()] == [stat.S_IFREG, stat.S_IFREG, stat.S_IFIFO, stat.S_IFDIR]
    assert told["/file"][1] == told["/link"][1] == 1234


async def test_every_process_of_a_sandbox_is_killed_but_its_agent(rootfs: Path) -> None:
    async with running_agent() as agent:
        await agent.start("one", runtime_spec(rootfs, "sleep", "3600"))
        await agent.start("two", runtime_spec(rootfs, "sleep", "3600"))
        answer = await agent.context.Kill(context.KillRequest(pid=-1, signal=signal.SIGKILL))
        ends = [await agent.wait("one"), await agent.wait("two")]
        again = await agent.context.Kill(context.KillRequest(pid=-1, signal=signal.SIGKILL))
        await agent.v1.GetInfo(wire.GetInfoRequest())
    assert [end.signal for end in ends] == [signal.SIGKILL, signal.SIGKILL]
    assert (answer.result, again.result) == (0, 0)


async def test_one_process_is_killed_and_the_agent_never(rootfs: Path) -> None:
    async with running_agent() as agent:
        started = await agent.start("one", runtime_spec(rootfs, "sleep", "3600"))
        for pid in (1, 0, -2):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.Kill(context.KillRequest(pid=pid, signal=signal.SIGTERM))
            assert (failure.value.code(), detail_of(failure.value).errno) == (_REFUSED, errno.EPERM)
        with pytest.raises(AioRpcError) as failure:
            await agent.context.Kill(context.KillRequest(pid=4_000_000, signal=signal.SIGTERM))
        assert detail_of(failure.value).errno == errno.ESRCH
        for number in (-1, 65):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.Kill(context.KillRequest(pid=started.pid, signal=number))
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        await agent.context.Kill(context.KillRequest(pid=started.pid, signal=signal.SIGKILL))
        end = await agent.wait("one")
    assert end.signal == signal.SIGKILL


def test_an_agent_that_is_no_init_kills_only_its_own() -> None:
    for pid in (-1, 1, os.getppid()):
        with pytest.raises(AgentError) as failure:
            send_signal(pid, signal.SIGCONT, is_init=False)
        assert failure.value.errno == errno.EPERM
    with subprocess.Popen(["sleep", "3600"]) as child:
        send_signal(child.pid, signal.SIGKILL, is_init=False)
        assert child.wait(10) == -signal.SIGKILL


async def test_variables_are_set_read_and_never_logged(rootfs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret = "hunter" + "2"
    async with running_agent() as agent:
        await agent.context.Setenv(context.SetenvRequest(key="FIRKIN_TEST", value=secret))
        value = (await agent.context.Getenv(context.GetenvRequest(key="FIRKIN_TEST"))).value
        await agent.context.Setenv(context.SetenvRequest(key="FIRKIN_TEST"))
        emptied = await agent.context.Getenv(context.GetenvRequest(key="FIRKIN_TEST"))
        for request in (
            context.SetenvRequest(key="", value=secret),
            context.SetenvRequest(key=f"K={secret}"),
            context.SetenvRequest(key="K", value=f"{secret}\0"),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.Setenv(request)
            assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert secret not in str(failure.value)
        for key in ("", "a=b", "a\0b"):
            assert not (await agent.context.Getenv(context.GetenvRequest(key=key))).HasField("value")
        _, out, _ = await agent.output("one", runtime_spec(rootfs, "sh", "-c", "echo [$FIRKIN_TEST]"))
    assert (value, emptied.HasField("value"), emptied.value, out) == (secret, True, "", b"[]\n")
    assert secret not in "".join(capfd.readouterr())
