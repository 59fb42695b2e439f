"""A scripted guest: a vsock driver in plain memory, without a kernel or a VM."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from .front_end import FrontEnd
from .memory import GuestMemory
from .packets import (
    CREDIT_REQUEST,
    CREDIT_UPDATE,
    GUEST_CID,
    HEADER_BYTES,
    HOST_CID,
    PAYLOAD,
    REQUEST,
    RESPONSE,
    Packet,
)
from .rings import DEADLINE_SECONDS, Piece, Ring

Layout = Callable[[], list[int]]
WINDOW_BYTES = 262144
_ARENA_BYTES = 1 << 20


def single_buffers() -> list[int]:
    """Receive buffers as Linux 6.1 posts them."""
    return [3776]


def paired_buffers() -> list[int]:
    """Receive buffers as older kernels post them."""
    return [44, 4096]


class Guest:
    """Drives the device's two rings, and keeps the packets that it was sent.

    Attributes:
        packets: what has arrived and nobody has looked at.
    """

    def __init__(self, path: Path, layout: Layout = single_buffers, memory: GuestMemory | None = None) -> None:
        self.memory = memory or GuestMemory()
        self.front_end = FrontEnd(path)
        self.layout = layout
        self.packets: deque[Packet] = deque()
        self._places: dict[int, list[Piece]] = {}
        self.start()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.front_end.close()
        self.receive.close()
        self.transmit.close()
        self.memory.close()

    def start(self) -> None:
        """Everything QEMU says until the driver runs."""
        self.receive = Ring(self.memory)
        self.transmit = Ring(self.memory)
        self._arena = self.memory.allocate(_ARENA_BYTES)
        self.outbox = self.memory.allocate(_ARENA_BYTES)
        self._arena_free = [self._arena + 8192 * index for index in range(_ARENA_BYTES // 8192)]
        self.front_end.negotiate()
        self.front_end.share(self.memory)
        for index, ring in enumerate((self.receive, self.transmit)):
            self.front_end.describe(index, ring)
            self.front_end.start(index, ring)

    def post_buffers(self, count: int = 1 << 30) -> None:
        """Offer receive buffers, as many as there is room for."""
        while count and self._arena_free and self.receive.free_descriptors:
            sizes = self.layout()
            if len(sizes) > self.receive.free_descriptors:
                break
            address = self._arena_free.pop()
            pieces = []
            at = address
            for size in sizes:
                pieces.append(Piece(at, size))
                at += size
            assert at <= address + 8192
            self._places[self.receive.add(pieces, writable=True)] = pieces
            count -= 1
        self.receive.notify()

    def poll(self) -> None:
        """Take the packets that are there, and offer their buffers anew."""
        while (used := self.receive.take_used()) is not None:
            pieces = self._places.pop(used.head)
            data = b"".join(self.memory.read(*piece) for piece in pieces)[: used.written]
            self._arena_free.append(pieces[0].address)
            self.packets.append(Packet.parse(data))

    def next_packet(self, seconds: float = DEADLINE_SECONDS) -> Packet:
        """The next packet; credit requests and updates are packets too."""
        deadline = time.monotonic() + seconds
        self.poll()
        while not self.packets:
            left = deadline - time.monotonic()
            if left <= 0 or not self.receive.wait(left):
                raise TimeoutError("no packet came")
            self.poll()
            self.post_buffers()
        return self.packets.popleft()

    def expect(self, operation: int) -> Packet:
        packet = self.next_packet()
        assert packet.operation == operation, packet
        assert packet[:2] == (HOST_CID, GUEST_CID)
        return packet

    def send(self, packet: Packet, cuts: tuple[int, ...] = (HEADER_BYTES,)) -> None:
        """Send a packet, cut into descriptors at these places, and wait until the device has taken it."""
        data = packet.encode()
        self.memory.write(self.outbox, data)
        bounds = [0, *(cut for cut in cuts if 0 < cut < len(data)), len(data)]
        pieces = [Piece(self.outbox + a, b - a) for a, b in itertools.pairwise(bounds)]
        self.transmit.add(pieces, writable=False)
        self.transmit.notify()
        while self.transmit.take_used() is None:
            assert self.transmit.wait(), "the device did not take the packet"


class GuestStream:
    """One stream, the guest's side: it keeps its credit, and answers for it."""

    def __init__(self, guest: Guest, guest_port: int, host_port: int) -> None:
        self.guest = guest
        self.guest_port = guest_port
        self.host_port = host_port
        self.received = 0
        self.forwarded = 0
        self.sent = 0
        self.host_window = 0
        self.host_forwarded = 0

    def packet(self, operation: int, flags: int = 0, payload: bytes = b"") -> Packet:
        return Packet(
            GUEST_CID,
            HOST_CID,
            self.guest_port,
            self.host_port,
            len(payload),
            1,
            operation,
            flags,
            WINDOW_BYTES,
            self.forwarded & 0xFFFFFFFF,
            payload,
        )

    def say(self, operation: int, flags: int = 0, payload: bytes = b"") -> None:
        self.guest.send(self.packet(operation, flags, payload))

    def write_cut(self, data: bytes, cuts: tuple[int, ...]) -> None:
        """Send one packet, cut into descriptors at these places."""
        self.guest.send(self.packet(PAYLOAD, payload=data), cuts)
        self.sent += len(data)

    def note(self, packet: Packet) -> None:
        """Keep what a packet tells of the host's credit."""
        assert (packet.destination_port, packet.source_port) == (self.guest_port, self.host_port), packet
        self.host_window = packet.buffer_size
        self.host_forwarded = packet.forwarded

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end, which is left among the packets."""
        data = bytearray()
        while len(data) < size:
            packet = self.guest.next_packet()
            self.note(packet)
            if packet.operation == PAYLOAD:
                data += packet.payload
                assert packet.size == len(packet.payload)
                self.received += packet.size
                assert self.received - self.forwarded <= WINDOW_BYTES, "the device sent more than was allowed"
                if self.received - self.forwarded >= WINDOW_BYTES // 2:
                    self.forwarded = self.received
                    self.say(CREDIT_UPDATE)
            elif packet.operation == CREDIT_REQUEST:
                self.forwarded = self.received
                self.say(CREDIT_UPDATE)
            elif packet.operation != CREDIT_UPDATE:
                self.guest.packets.appendleft(packet)
                break
        return bytes(data)

    def write(self, data: bytes, piece_bytes: int = 65536) -> None:
        """Send it all, as the host's credit allows."""
        at = 0
        while at < len(data):
            room = self.host_window - ((self.sent - self.host_forwarded) & 0xFFFFFFFF)
            if room <= 0:
                self.note(self.guest.expect(CREDIT_UPDATE))
                continue
            piece = data[at : at + min(room, piece_bytes)]
            self.say(PAYLOAD, payload=piece)
            self.sent += len(piece)
            at += len(piece)


def accept(guest: Guest, guest_port: int) -> GuestStream:
    """Take a connection of the host's to a port that the guest listens on."""
    request = guest.expect(REQUEST)
    assert request.destination_port == guest_port
    stream = GuestStream(guest, guest_port, request.source_port)
    stream.note(request)
    stream.say(RESPONSE)
    return stream


def connect(guest: Guest, guest_port: int, host_port: int) -> GuestStream:
    """Connect to a port of the host's."""
    stream = GuestStream(guest, guest_port, host_port)
    stream.say(REQUEST)
    stream.note(guest.expect(RESPONSE))
    return stream
