"""Streams of a guest whose vsock device is the kernel's; unix sockets stand for those of vsock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firkin.adapters.vmm_qemu.vhost_bridge import VhostBridge

pytestmark = pytest.mark.real_time

PORT = 1024


class UnixDoor:
    """Keeps GuestDoor with unix sockets: the guest's port N is `N` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.listener = listening(directory / "shared")
        self.host_port = 7000
        self.is_open_to = True

    def is_guest(self, peer: socket.socket) -> bool:
        return self.is_open_to

    async def dialled(self, guest_port: int) -> socket.socket:
        return await connected(self.directory / str(guest_port))


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(os.fspath(path))
    listener.listen()
    return listener


async def connected(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(peer, os.fspath(path))
    except BaseException:
        peer.close()
        raise
    return peer


async def received(peer: socket.socket, size: int) -> bytes:
    """What comes until `size` bytes are there, or the stream ends."""
    data = b""
    while len(data) < size:
        part = await asyncio.get_running_loop().sock_recv(peer, size - len(data))
        if not part:
            break
        data += part
    return data


async def accepted(listener: socket.socket) -> socket.socket:
    return (await asyncio.get_running_loop().sock_accept(listener))[0]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    directory = tmp_path / "host"
    directory.mkdir()
    return directory


@contextlib.asynccontextmanager
async def bridge_to(tmp_path: Path, host: Path) -> AsyncIterator[tuple[VhostBridge, UnixDoor]]:
    guest = tmp_path / "guest"
    guest.mkdir()
    door = UnixDoor(guest)
    bridge = VhostBridge(host, door)
    try:
        async with asyncio.timeout(60):
            yield bridge, door
    finally:
        await bridge.aclose()


async def test_who_connects_to_a_port_of_the_guest_reaches_it_and_either_end_is_handed_on(
    tmp_path: Path, host: Path
) -> None:
    loop = asyncio.get_running_loop()
    async with bridge_to(tmp_path, host) as (bridge, door):
        bridge.listen(PORT)
        with listening(door.directory / str(PORT)) as listener, await connected(host / f"guest-{PORT}.sock") as near:
            with await accepted(listener) as far:
                await loop.sock_sendall(near, b"to the guest")
                near.shutdown(socket.SHUT_WR)
                assert await received(far, 100) == b"to the guest"
                await loop.sock_sendall(far, b"from the guest")
                assert await received(near, 14) == b"from the guest"
            assert await received(near, 1) == b""


async def test_much_goes_both_ways_at_the_same_time(tmp_path: Path, host: Path) -> None:
    loop = asyncio.get_running_loop()
    size = 8 << 20
    async with bridge_to(tmp_path, host) as (bridge, door):
        bridge.listen(PORT)
        listener = listening(door.directory / str(PORT))
        with listener, await connected(host / f"guest-{PORT}.sock") as near, await accepted(listener) as far:
            sent = (loop.sock_sendall(near, b"n" * size), loop.sock_sendall(far, b"f" * size))
            *_, there, back = await asyncio.gather(*sent, received(far, size), received(near, size))
            assert there == b"n" * size
            assert back == b"f" * size


async def test_a_port_where_the_guest_does_not_listen_ends_the_stream(tmp_path: Path, host: Path) -> None:
    async with bridge_to(tmp_path, host) as (bridge, _):
        bridge.listen(PORT)
        with await connected(host / f"guest-{PORT}.sock") as near:
            assert await received(near, 1) == b""


async def test_the_guest_reaches_the_port_of_the_host_that_it_says(tmp_path: Path, host: Path) -> None:
    loop = asyncio.get_running_loop()
    async with bridge_to(tmp_path, host) as (_, door):
        with listening(host / "host-268435456.sock") as listener, await connected(door.directory / "shared") as guest:
            await loop.sock_sendall(guest, struct.pack("<I", 268435456) + b"and more")
            assert await received(guest, 1) == b"\0"
            with await accepted(listener) as far:
                assert await received(far, 8) == b"and more"
                await loop.sock_sendall(far, b"back")
                assert await received(guest, 4) == b"back"


async def test_a_port_where_nobody_listens_is_refused_with_an_answer(tmp_path: Path, host: Path) -> None:
    async with bridge_to(tmp_path, host) as (_, door):
        with await connected(door.directory / "shared") as guest:
            await asyncio.get_running_loop().sock_sendall(guest, struct.pack("<I", 9))
            assert await received(guest, 2) == b"\1"


async def test_other_machines_are_not_heard(tmp_path: Path, host: Path) -> None:
    async with bridge_to(tmp_path, host) as (_, door):
        door.is_open_to = False
        with listening(host / "host-9.sock"), await connected(door.directory / "shared") as other:
            assert await received(other, 1) == b""


async def test_a_guest_that_hangs_up_before_it_says_a_port_is_forgotten(tmp_path: Path, host: Path) -> None:
    loop = asyncio.get_running_loop()
    async with bridge_to(tmp_path, host) as (_, door):
        with await connected(door.directory / "shared") as guest:
            await loop.sock_sendall(guest, b"\1\2")
        with listening(host / "host-9.sock"), await connected(door.directory / "shared") as guest:
            await loop.sock_sendall(guest, struct.pack("<I", 9))
            assert await received(guest, 1) == b"\0"


async def test_a_host_program_that_goes_ends_the_guests_stream(tmp_path: Path, host: Path) -> None:
    async with bridge_to(tmp_path, host) as (bridge, door):
        bridge.listen(PORT)
        with listening(door.directory / str(PORT)) as listener:
            near = await connected(host / f"guest-{PORT}.sock")
            with await accepted(listener) as far:
                near.close()
                assert await received(far, 1) == b""
                with pytest.raises(ConnectionError):
                    await asyncio.get_running_loop().sock_sendall(far, b"x" * (8 << 20))


async def test_the_end_of_the_bridge_ends_its_streams_and_leaves_no_socket(tmp_path: Path, host: Path) -> None:
    async with bridge_to(tmp_path, host) as (bridge, door):
        bridge.listen(PORT)
        listener = listening(door.directory / str(PORT))
        with listener, await connected(host / f"guest-{PORT}.sock") as near, await accepted(listener) as far:
            await bridge.aclose()
            assert await received(near, 1) == b""
            assert await received(far, 1) == b""
        assert os.listdir(host) == []
        await bridge.aclose()
