"""The peer: a vhost-user-vsock device as one writes it in Python, one preadv for each buffer of the guest.

It serves one stream at a time, trusts its guest, and keeps no credit for what it is sent.
"""

from __future__ import annotations

import array
import mmap
import os
import select
import socket
import struct
import sys

HEADER = struct.Struct("<QQIIIHHIII")
GUEST_CID, HOST_CID = 3, 2
REQUEST, RESPONSE, RESET, SHUTDOWN, PAYLOAD, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
WINDOW = 1 << 20


class Ring:
    """A ring, found in the guest's memory by the front end's addresses."""

    def __init__(self) -> None:
        self.size = self.last = self.used_index = 0
        self.descriptors = self.available = self.used = 0
        self.kick = self.call = -1


class Device:
    """Accepts one VMM, then sends a file to the guest's port 1025, or reads from its port 1026."""

    def __init__(self, path: str) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        print("listening", flush=True)
        self.vmm, _ = listener.accept()
        self.regions: list[tuple[int, int, int, int, memoryview]] = []
        self.rings = [Ring(), Ring()]
        self.protocol = 0

    def message(self) -> None:
        """Answer one vhost-user message."""
        data, ancillary, _, _ = self.vmm.recvmsg(12, 256)
        if not data:
            sys.exit(0)
        request, _flags, size = struct.unpack("<III", data)
        payload = self.vmm.recv(size, socket.MSG_WAITALL) if size else b""
        files = array.array("i")
        for _, _, raw in ancillary:
            files.frombytes(raw[: len(raw) // 4 * 4])
        if request == 1:
            self.reply(request, struct.pack("<Q", 1 << 32 | 1 << 30))
        elif request == 15:
            self.reply(request, struct.pack("<Q", 1 << 9))
        elif request == 24:
            self.reply(request, payload[:12] + struct.pack("<Q", GUEST_CID))
        elif request == 5:
            self.map(payload, list(files))
        elif request == 8:
            index, number = struct.unpack("<II", payload)
            self.rings[index].size = number
        elif request == 9:
            index, _, descriptors, used, available, _ = struct.unpack("<IIQQQQ", payload)
            ring = self.rings[index]
            ring.descriptors, ring.used, ring.available = descriptors, used, available
        elif request == 10:
            index, number = struct.unpack("<II", payload)
            self.rings[index].last = number
        elif request == 11:
            index, _ = struct.unpack("<II", payload)
            self.reply(request, struct.pack("<II", index, self.rings[index].last))
        elif request in (12, 13):
            (number,) = struct.unpack("<Q", payload)
            if files:
                setattr(self.rings[number & 0xFF], "kick" if request == 12 else "call", files[0])
            if files and request == 13:
                # What the last one was told while the front end changed it may have been lost.
                os.eventfd_write(files[0], 1)

    def reply(self, request: int, payload: bytes) -> None:
        self.vmm.sendall(struct.pack("<III", request, 5, len(payload)) + payload)

    def map(self, payload: bytes, files: list[int]) -> None:
        (count,) = struct.unpack_from("<I", payload)
        self.regions = []
        for index in range(count):
            guest, size, front_end, offset = struct.unpack_from("<QQQQ", payload, 8 + 32 * index)
            view = memoryview(mmap.mmap(files[index], size + offset))
            self.regions.append((guest, size, front_end, offset, view))

    def at_guest(self, address: int, size: int) -> memoryview:
        for guest, length, _, offset, view in self.regions:
            if guest <= address < guest + length:
                start = address - guest + offset
                return view[start : start + size]
        raise ValueError(hex(address))

    def at_front_end(self, address: int, size: int) -> memoryview:
        for _, length, front_end, offset, view in self.regions:
            if front_end <= address < front_end + length:
                start = address - front_end + offset
                return view[start : start + size]
        raise ValueError(hex(address))

    def next_chain(self, ring: Ring) -> tuple[int, list[memoryview]] | None:
        available = self.at_front_end(ring.available, 4 + 2 * ring.size)
        if struct.unpack_from("<H", available, 2)[0] == ring.last:
            return None
        (head,) = struct.unpack_from("<H", available, 4 + 2 * (ring.last % ring.size))
        ring.last = (ring.last + 1) & 0xFFFF
        descriptors = self.at_front_end(ring.descriptors, 16 * ring.size)
        pieces, index = [], head
        while True:
            address, size, flags, following = struct.unpack_from("<QIHH", descriptors, 16 * index)
            pieces.append(self.at_guest(address, size))
            if not flags & 1:
                return head, pieces
            index = following

    def use(self, ring: Ring, head: int, size: int) -> None:
        used = self.at_front_end(ring.used, 4 + 8 * ring.size)
        struct.pack_into("<II", used, 4 + 8 * (ring.used_index % ring.size), head, size)
        ring.used_index = (ring.used_index + 1) & 0xFFFF
        struct.pack_into("<H", used, 2, ring.used_index)

    def interrupt(self, ring: Ring) -> None:
        os.eventfd_write(ring.call, 1)

    def wait(self, ring: Ring) -> None:
        files = [self.vmm.fileno(), *([ring.kick] if ring.kick >= 0 else [])]
        for file in select.select(files, [], [])[0]:
            if file == ring.kick:
                os.eventfd_read(file)
            else:
                self.message()


class Stream:
    """One connection to a port of the guest's."""

    def __init__(self, device: Device, guest_port: int, host_port: int) -> None:
        self.device = device
        self.ports = (host_port, guest_port)
        self.sent = self.received = self.credit_from = 0
        self.window = self.forwarded = 0
        self.send(REQUEST)
        self.until(RESPONSE)

    def header(self, operation: int, size: int = 0, flags: int = 0) -> bytes:
        counts = (WINDOW, self.received & 0xFFFFFFFF)
        return HEADER.pack(HOST_CID, GUEST_CID, *self.ports, size, 1, operation, flags, *counts)

    def buffer(self) -> tuple[int, list[memoryview]]:
        ring = self.device.rings[0]
        while not ring.size or not ring.available or (chain := self.device.next_chain(ring)) is None:
            if ring.call >= 0:
                self.device.interrupt(ring)
            self.device.wait(ring)
        return chain

    def send(self, operation: int, flags: int = 0) -> None:
        head, pieces = self.buffer()
        pieces[0][:44] = self.header(operation, flags=flags)
        self.device.use(self.device.rings[0], head, 44)
        self.device.interrupt(self.device.rings[0])

    def poll(self) -> tuple[int, bytes] | None:
        """The next packet of this stream, if there is one."""
        ring = self.device.rings[1]
        chain = self.device.next_chain(ring) if ring.available else None
        if chain is None:
            return None
        head, pieces = chain
        fields = HEADER.unpack(pieces[0][:44])
        payload = b"".join(pieces[1:])[: fields[4]]
        self.device.use(ring, head, 0)
        self.device.interrupt(ring)
        if (fields[3], fields[2]) != self.ports:
            return 0, b""
        self.window, self.forwarded = fields[8], fields[9]
        return fields[6], payload

    def until(self, operation: int) -> bytes:
        while True:
            packet = self.poll()
            if packet is None:
                self.device.wait(self.device.rings[1])
            elif packet[0] == operation:
                return packet[1]
            elif packet[0] == RESET:
                raise ConnectionResetError

    def send_file(self, file: int, size: int) -> None:
        ring = self.device.rings[0]
        at = 0
        while at < size:
            room = self.window - ((self.sent - self.forwarded) & 0xFFFFFFFF)
            if room <= 0:
                self.send(CREDIT_REQUEST)
                self.until(CREDIT_UPDATE)
                continue
            head, pieces = self.buffer()
            count = os.preadv(file, [pieces[0][44 : 44 + min(room, size - at)]], at)
            pieces[0][:44] = self.header(PAYLOAD, count)
            self.device.use(ring, head, 44 + count)
            at += count
            self.sent += count
            while self.poll() is not None:
                pass
        self.send(SHUTDOWN, 2)


def main() -> None:
    """Send the file named on the command line whenever a line comes, and say when the guest has counted it."""
    device = Device(sys.argv[1])
    file = os.open(sys.argv[2], os.O_RDONLY)
    size = os.fstat(file).st_size
    for number in range(10_000):
        while True:
            try:
                stream = Stream(device, 1025, 0x50000000 + number)
                break
            except ConnectionResetError:
                number += 20_000
        stream.send_file(file, size)
        (count,) = struct.unpack("<Q", stream.until(PAYLOAD))
        stream.send(SHUTDOWN, 3)
        print(count, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
