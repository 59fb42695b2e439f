"""A network of a sandbox that needs no privilege on the host: slirp4netns, beside the sandbox as long as it lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

from firkin.domain.errors import BootFailed, MissingTool, PermissionMissing
from firkin.host_side.tun_device import tun_obstacle

PROGRAM = "slirp4netns"
INTERFACE = "eth0"
_MTU = 65520
_READY_SECONDS = 20.0
_END_SECONDS = 2.0
_TOLD_BYTES = 2048


@contextlib.asynccontextmanager
async def user_network(search_path: str, init_pid: int, on_end: Callable[[str], None]) -> AsyncIterator[None]:
    """Give the network namespace of `init_pid` an interface that reaches what the host reaches, and a resolver.

    The host's own loopback stays out of reach. Leaving ends the program, which also ends with this process; when it
    ends by itself, `on_end` is told so, as a sentence's second half.

    Raises:
        MissingTool: slirp4netns is not installed.
        PermissionMissing: the device that it needs may not be opened.
        BootFailed: it could not set the interface up; its own words are in the error.
    """
    program = shutil.which(PROGRAM, path=search_path)
    if program is None:
        raise MissingTool(PROGRAM, "a user network", PROGRAM)
    if (obstacle := tun_obstacle()) is not None:
        raise PermissionMissing(f"make a user network ({obstacle.detail})", obstacle.remedy)
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile())
        process, ready, lifeline = _started(program, init_pid, said.fileno())
        closing = stack.enter_context(contextlib.ExitStack())
        closing.callback(os.close, lifeline)
        stack.callback(os.close, ready)
        try:
            if not await _is_ready(ready):
                said.seek(0)
                reason = said.read(_TOLD_BYTES).decode(errors="replace").strip() or "it did not say that it is ready"
                raise BootFailed("attach the user network", f"{PROGRAM}: {reason}")
            with _watched(process.pid, partial(on_end, f"its user network ({PROGRAM}) ended")):
                yield
        finally:
            closing.close()
            await asyncio.shield(asyncio.to_thread(_ended, process))


def _started(program: str, init_pid: int, said: int) -> tuple[subprocess.Popen[bytes], int, int]:
    ready, ready_end = os.pipe()
    lifeline_end, lifeline = os.pipe()
    try:
        process = subprocess.Popen(
            [
                *(program, "--configure", f"--mtu={_MTU}", "--disable-host-loopback"),
                *(f"--ready-fd={ready_end}", f"--exit-fd={lifeline_end}", str(init_pid), INTERFACE),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(ready_end, lifeline_end),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        os.close(ready)
        os.close(lifeline)
        raise BootFailed("attach the user network", f"{program}: {error.strerror}") from error
    finally:
        os.close(ready_end)
        os.close(lifeline_end)
    return process, ready, lifeline


@contextlib.contextmanager
def _watched(pid: int, on_end: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)

    def ended() -> None:
        loop.remove_reader(descriptor)
        on_end()

    loop.add_reader(descriptor, ended)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _is_ready(ready: int) -> bool:
    """True once it says so; False when it ends first, or takes too long."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(ready, readable.set)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(ready)
    return os.read(ready, 1) != b""


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
