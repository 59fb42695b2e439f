"""What only real processes and real images show, over both services of vminitd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firkin.domain.digest import Digest
from firkin.domain.errors import (
    FirkinError,
    PathRefused,
    SandboxDied,
)
from firkin.domain.guest_path import GuestPath
from firkin.domain.process import ExitStatus, Stdio, StdioOptions
from tests.contract.vmm.guests import processes_naming
from tests.descriptors import open_descriptors, opened_since

from .roads import AGENT_V1, ALL_PIPED, OUTPUT_PIPED, SANDBOX_CONTEXT, OpenAgent, Road, everything, init_of

pytestmark = pytest.mark.real_time

SECONDS = 60.0
"""Far less than the processes of these tests sleep, and far more than what is waited for takes."""

GZIP_TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN_TAR = "application/vnd.oci.image.layer.v1.tar"
ZEROS = Digest("sha256:" + "0" * 64)
INHERITED = StdioOptions(stdout=Stdio.INHERIT, stderr=Stdio.INHERIT)


@pytest.fixture(params=[AGENT_V1, SANDBOX_CONTEXT])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


async def test_a_signal_that_ended_a_process_is_told(road: Road) -> None:
    async with road.opened() as it:
        await it.started("c", "/bin/sh", "-c", "kill -USR2 $$")
        status = await it.agent.wait_process(init_of("c"))
        # The init of a namespace ignores signals that it has no handler for, its own among them.
        assert status == ExitStatus(0)
        await it.started("d", "/bin/sh", "-c", "sh -c 'kill -USR2 $$'; exit $?")
        assert (await it.agent.wait_process(init_of("d"))).code == 128 + signal.SIGUSR2


async def test_inherited_output_is_with_the_caller_when_the_wait_returns(
    road: Road, capfd: pytest.CaptureFixture[str]
) -> None:
    async with road.opened() as it:
        script = "seq 1 100000; echo to stderr >&2"
        await it.started("c", "/bin/sh", "-c", script, stdio=INHERITED)
        assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
        out, err = capfd.readouterr()
        assert out == "".join(f"{number}\n" for number in range(1, 100_001))
        assert err == "to stderr\n"


async def test_inherited_output_does_not_wait_for_a_child_that_keeps_the_stream(
    road: Road, capfd: pytest.CaptureFixture[str]
) -> None:
    async with road.opened() as it:
        await it.started("c", "/bin/sleep", "3600")
        launch = it.exec("c", "e", "/bin/sh", "-c", "echo before; sleep 3600 & exit 0", stdio=INHERITED)
        await it.agent.start_process(launch)
        async with asyncio.timeout(SECONDS):
            assert await it.agent.wait_process(launch.ref) == ExitStatus(0)
        assert capfd.readouterr().out == "before\n"


async def test_a_slow_terminal_stops_only_what_writes_to_it(road: Road) -> None:
    with _standard_descriptor(1) as terminal:
        async with road.opened() as it:
            await it.started("slow", "/bin/sh", "-c", "head -c 3000000 /dev/zero", stdio=INHERITED)
            waiting = asyncio.ensure_future(it.agent.wait_process(init_of("slow")))
            quick = await it.started("quick", "/bin/echo", "quick", stdio=OUTPUT_PIPED)
            assert await everything(quick.streams.stdout) == b"quick\n"
            assert not waiting.done()
            received = 0
            while received < 3_000_000:
                received += len(await asyncio.to_thread(os.read, terminal, 1 << 20))
            assert await waiting == ExitStatus(0)


async def test_inherited_input_is_read_to_its_end(road: Road) -> None:
    with _standard_descriptor(0) as writing:
        async with road.opened() as it:
            stdio = StdioOptions(stdin=Stdio.INHERIT, stdout=Stdio.PIPED)
            started = await it.started("c", "/bin/cat", stdio=stdio)
            data = os.urandom(300_000)
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.to_thread(_write_and_close, writing, data))
                received = await everything(started.streams.stdout)
            assert received == data
            assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)


async def test_input_that_a_process_did_not_want_stays_with_the_caller(road: Road) -> None:
    with _standard_descriptor(0) as writing:
        async with road.opened() as it:
            await it.started("c", "/bin/true", stdio=StdioOptions(stdin=Stdio.INHERIT))
            assert await it.agent.wait_process(init_of("c")) == ExitStatus(0)
            await it.removed("c")
            await _until(lambda: not _threads("firkin-input"))
            os.write(writing, b"for the shell")
            assert os.read(0, 100) == b"for the shell"
        os.close(writing)


async def test_a_file_of_a_volume_is_written_where_containers_see_it(road: Road) -> None:
    async with road.opened() as it:
        data = os.urandom(5 * 2**20)
        volume = GuestPath(it.volume("data"))
        await it.agent.write_file(volume, "requests/slot-1", b"a longer text that is replaced", mode=0o640)
        await it.agent.write_file(volume, "requests/slot-1", data, mode=0o640)
        await it.agent.write_file(GuestPath(it.volume("fast")), "empty", b"")
        path = road.store / "pods/pod-1/emptydir/data/requests/slot-1"
        assert path.read_bytes() == data
        assert path.stat().st_mode & 0o7777 == 0o640


async def test_a_symlink_in_a_volume_leads_nobody_out_of_it(road: Road, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with road.opened() as it:
        volume = road.store / "pods/pod-1/emptydir/data"
        (volume / "link").symlink_to(outside)
        (volume / "up").symlink_to("../../../..")
        for path in ("link/file", "up/file"):
            # SandboxContext resolves links within the volume, so that it may also succeed: inside.
            expected = (PathRefused,) if road.name == AGENT_V1 else (FirkinError,)
            with contextlib.suppress(*expected):
                await it.agent.write_file(GuestPath(it.volume("data")), path, b"x")
                assert road.name == SANDBOX_CONTEXT
        assert list(outside.iterdir()) == []
        assert not (road.store / "file").exists()


async def test_every_user_may_write_to_a_volume_and_memory_has_its_limit(road: Road) -> None:
    async with road.opened() as it:
        data = road.store / "pods/pod-1/emptydir/data"
        assert data.stat().st_mode & 0o777 == 0o777
        usage = await it.agent.usage(GuestPath(it.volume("fast")))
        assert usage.total_blocks * usage.block_size == 2**20


async def test_a_pod_finds_nothing_of_an_earlier_one_and_leaves_nothing_but_templates(road: Road) -> None:
    async with road.opened() as it:
        await it.started("c", "/bin/sh", "-c", "echo x > /written")
        await it.agent.wait_process(init_of("c"))
        assert (road.store / "pods/pod-1/containers/c/upper/written").exists()
    # That sandbox ended without tearing its pod down.
    async with road.opened() as it:
        assert list((road.store / "pods/pod-1/containers").iterdir()) == []
        assert list(await it.agent.tear_down_pod(it.preparation)) == []
    assert not (road.store / "pods/pod-1").exists()
    assert len(list((road.store / "templates").iterdir())) == 1


async def test_an_agent_that_is_killed_ends_pending_waits_with_the_death_of_its_sandbox(
    road: Road, tmp_path: Path
) -> None:
    async with road.opened() as it:
        started = await it.started("c", "/bin/sleep", "3600", stdio=OUTPUT_PIPED)
        waiting = [asyncio.ensure_future(it.agent.wait_process(init_of("c"))) for _ in range(3)]
        await asyncio.sleep(0.05)
        for pid in processes_naming(str(it.sandbox.socket_directory)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            for wait in waiting:
                with pytest.raises(SandboxDied):
                    await wait
            assert await everything(started.streams.stdout) == b""


async def test_using_an_agent_leaves_no_descriptor_no_thread_and_no_socket(road: Road) -> None:
    async with road.opened() as it:
        await _use(it)
        await _until(lambda: not _threads("firkin-"))
        before = open_descriptors()
        for _ in range(3):
            await _use(it)
        await _until(lambda: not _threads("firkin-"))
        assert not opened_since(before)
        assert list(it.sandbox.socket_directory.glob("host-*.sock")) == []


async def _use(it: OpenAgent) -> None:
    await it.started("c", "/bin/sleep", "3600", stdio=StdioOptions(stdout=Stdio.INHERIT, stderr=Stdio.PIPED))
    launch = it.exec("c", "e", "/bin/echo", "x", stdio=ALL_PIPED)
    started = await it.agent.start_process(launch)
    assert started.streams.stdin is not None
    await started.streams.stdin.aclose()
    assert await everything(started.streams.stdout) == b"x\n"
    assert await everything(started.streams.stderr) == b""
    await it.agent.wait_process(launch.ref)
    with pytest.raises(FirkinError):
        await it.agent.start_process(it.exec("c", "e2", "/bin/nope", stdio=ALL_PIPED))
    await it.agent.write_file(GuestPath(it.volume("data")), "f", b"x")
    await it.removed("c")


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def _threads(prefix: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]


def _write_and_close(fd: int, data: bytes) -> None:
    with open(fd, "wb") as file:
        file.write(data)


@contextlib.contextmanager
def _standard_descriptor(number: int) -> Iterator[int]:
    """Put a pipe in the place of descriptor 0 or 1; yields its other end."""
    reading, writing = os.pipe()
    mine, other = (reading, writing) if number == 0 else (writing, reading)
    kept = os.dup(number)
    os.dup2(mine, number)
    os.close(mine)
    try:
        yield other
    finally:
        os.dup2(kept, number)
        os.close(kept)
        if number == 1:
            os.close(other)
