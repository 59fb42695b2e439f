"""The host's end of the line to a machine's init, with whatever a guest may say at the other."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import socket
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin.adapters.vmm_qemu.guest_line import LINE_PORT, GuestLine
from firkin.domain.errors import BootFailed
from firkin.vminitd.host_line import report

pytestmark = pytest.mark.real_time

SOON = 60.0


class Guest:
    """A machine's init, as far as the line goes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"host-{LINE_PORT}.sock"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SOON)

    async def connected(self) -> dict[str, object]:
        """Connect; returns the greeting."""
        self.socket.connect(str(self.path))
        greeting: dict[str, object] = json.loads(await asyncio.to_thread(self.socket.recv, 4096))
        return greeting

    def unread_bytes(self) -> int:
        """What the other end has not read yet (unix(7), SIOCOUTQ); 0 when it has read everything."""
        unread: int
        (unread,) = struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4)))
        return unread


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = Guest(tmp_path)
    yield guest
    guest.socket.close()


async def _heard(line: GuestLine, guest: Guest) -> bool:
    """Whether the line has taken a report, once it has read everything: it judges what it reads in the same step."""
    listening = asyncio.Event()
    line.when_listening(listening.set)
    async with asyncio.timeout(SOON):
        while True:
            if not guest.unread_bytes():
                return listening.is_set()
            await asyncio.sleep(0)


async def test_a_guest_is_told_the_time_and_its_limits_and_tells_its_phases(tmp_path: Path, guest: Guest) -> None:
    with contextlib.closing(GuestLine(tmp_path, {"pids.max": "16"})) as line:
        greeting = await guest.connected()
        assert greeting["limits"] == {"pids.max": "16"}
        assert abs(int(str(greeting["time_ns"])) - time.time_ns()) < SOON * 10**9
        report(guest.socket, {"kernel": 0.5})
        assert await _heard(line, guest)
        assert line.phases == {"kernel": 0.5}
        line.close()
        assert guest.socket.recv(1) == b""


@pytest.mark.parametrize(
    "said",
    [
        b"\n",
        b"listening\n",
        b"[]\n",
        b"{}\n",
        b'{"listening": "now"}\n',
        b'{"listening": {"kernel": "soon"}}\n',
        b'{"listening": {"\xff": 1}}\n',
        b'{"listening": ' + b"[" * 60_000 + b"\n",
        b"x" * 65_537,
    ],
    ids=["empty", "no-json", "a-list", "nothing", "no-phases", "no-number", "no-utf8", "deep", "oversized"],
)
async def test_a_report_that_is_none_is_nobody_who_listens_and_the_line_still_hangs_up(
    tmp_path: Path, guest: Guest, said: bytes
) -> None:
    with contextlib.closing(GuestLine(tmp_path, {})) as line:
        await guest.connected()
        await asyncio.to_thread(guest.socket.sendall, said)
        assert not await _heard(line, guest)
        assert line.phases is None
        assert line.is_connected
        line.close()
        assert guest.socket.recv(1) == b""


async def test_a_guest_that_hangs_up_before_it_reports_does_not_listen(tmp_path: Path, guest: Guest) -> None:
    with contextlib.closing(GuestLine(tmp_path, {})) as line:
        await guest.connected()
        guest.socket.sendall(b'{"listening": ')
        guest.socket.shutdown(socket.SHUT_WR)
        assert not await _heard(line, guest)


async def test_whoever_connects_after_the_init_finds_nobody(tmp_path: Path, guest: Guest) -> None:
    with contextlib.closing(GuestLine(tmp_path, {})) as line:
        await guest.connected()
        with socket.socket(socket.AF_UNIX) as second, pytest.raises(FileNotFoundError):
            second.connect(str(guest.path))
        report(guest.socket, {})
        assert await _heard(line, guest)


async def test_a_directory_in_which_nobody_can_listen_fails_the_boot(tmp_path: Path) -> None:
    with pytest.raises(BootFailed, match="No such file or directory"):
        GuestLine(tmp_path / "absent", {})
