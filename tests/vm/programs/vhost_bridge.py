"""Joins unix sockets to those of vsock, by the kernel's loopback: the program is the host and its guest."""

import asyncio
import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, "/tmp")

from firkin.adapters.vmm_qemu.vhost_bridge import VhostBridge, VsockDoor

LOCAL_CID, STRANGE_CID = 1, 77
HOST = Path("/tmp/host")
MUCH = 300_000


async def received(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := await asyncio.get_running_loop().sock_recv(peer, size - len(data))):
        data += part
    return data


async def connected(family: int, address: str | tuple[int, int]) -> socket.socket:
    peer = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    await asyncio.get_running_loop().sock_connect(peer, address)
    return peer


def listening(family: int, address: str | tuple[int, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.bind(address)
    listener.listen()
    return listener


async def to_the_guest(bridge: VhostBridge) -> None:
    loop = asyncio.get_running_loop()
    guest = listening(socket.AF_VSOCK, (socket.VMADDR_CID_ANY, 1024))
    bridge.listen(1024)
    near = await connected(socket.AF_UNIX, f"{HOST}/guest-1024.sock")
    far, _ = await loop.sock_accept(guest)
    await loop.sock_sendall(near, b"x" * MUCH)
    near.shutdown(socket.SHUT_WR)
    assert await received(far, MUCH + 1) == b"x" * MUCH
    await loop.sock_sendall(far, b"back")
    far.close()
    assert await received(near, 5) == b"back"
    bridge.listen(5)
    nobody = await connected(socket.AF_UNIX, f"{HOST}/guest-5.sock")
    assert await received(nobody, 1) == b""


async def from_the_guest(door: VsockDoor) -> None:
    loop = asyncio.get_running_loop()
    host = listening(socket.AF_UNIX, f"{HOST}/host-7.sock")
    near = await connected(socket.AF_VSOCK, (LOCAL_CID, door.host_port))
    await loop.sock_sendall(near, struct.pack("<I", 7) + b"more")
    far, _ = await loop.sock_accept(host)
    assert await received(near, 1) == b"\0"
    assert await received(far, 4) == b"more"
    far.close()
    assert await received(near, 1) == b""
    refused = await connected(socket.AF_VSOCK, (LOCAL_CID, door.host_port))
    await loop.sock_sendall(refused, struct.pack("<I", 9))
    assert await received(refused, 2) == b"\1"


async def strangers_are_not_heard() -> None:
    door = VsockDoor(STRANGE_CID)
    bridge = VhostBridge(HOST, door)
    peer = await connected(socket.AF_VSOCK, (LOCAL_CID, door.host_port))
    with contextlib.suppress(ConnectionError):
        assert await received(peer, 1) == b""
    await bridge.aclose()


async def main() -> None:
    os.mkdir(HOST)
    door = VsockDoor(LOCAL_CID)
    bridge = VhostBridge(HOST, door)
    await to_the_guest(bridge)
    await from_the_guest(door)
    await strangers_are_not_heard()
    await bridge.aclose()
    print("streams are relayed")


asyncio.run(asyncio.wait_for(main(), 100))
