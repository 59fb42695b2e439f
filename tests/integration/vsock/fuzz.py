"""A guest, a VMM and host programs that do anything at all, at random, while the device runs.

A case is made from one number, so that it can be had again: `python -m tests.integration.vsock.fuzz --case N`. What
must hold: nothing is written outside the regions, the device answers or has ended for a reason, it closes, and
neither files nor mappings are left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from firkin._fast.vsock import CLOSED, FRONT_END_BROKEN, GUEST_BROKEN, VsockDevice
from tests.descriptors import listed_descriptors, opened_since

from .front_end import GET_CONFIG, SET_VRING_CALL, FrontEnd, UnexpectedReply
from .memory import GuestMemory
from .packets import GUEST_CID, HOST_CID, Packet
from .readers import readers, wait_until_no_reader_is_left
from .rings import HAS_NEXT, IS_INDIRECT, IS_WRITABLE, Ring

RING_SIZE = 16
IN_FLIGHT_MAX = RING_SIZE // 4
PLACE_BYTES = 66_000
STEPS = 120
GUEST_PORTS = (1024, 5000, 5001)
HOST_PORTS = (9, 10, 0x40000000, 0x40000001)
_EXTREMES = (0, 1, 2, 43, 44, 45, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Case:
    """One device and everybody around it."""

    def __init__(self, number: int, directory: Path) -> None:
        self.random = random.Random(number)
        self.directory = directory
        self.stack = contextlib.ExitStack()
        # Most guests keep the rules of the rings for a while, so that what lies behind them is reached.
        self.corruption = self.random.choice((0.0, 0.0, 0.02, 0.3))
        self.memory = GuestMemory((1 << 20, 1 << 18))
        self.stack.callback(self.memory.close)
        self.device = VsockDevice(
            directory / "vhost.sock",
            GUEST_CID,
            directory,
            stream_limit=self.random.choice((1, 4, 64)),
            window_bytes=65536,
        )
        self.stack.callback(self.device.close)
        self.device.listen(1024)
        self.device.start()
        self.hosts: list[socket.socket] = []
        self.listeners = [self._listener(port) for port in (9, 10)]
        self.front_end = FrontEnd(directory / "vhost.sock")
        self.stack.callback(self.front_end.close)
        self.rings = [Ring(self.memory, RING_SIZE), Ring(self.memory, RING_SIZE)]
        for ring in self.rings:
            self.stack.callback(ring.close)
        self.front_end.negotiate()
        self.front_end.share(self.memory)
        for index, ring in enumerate(self.rings):
            self.front_end.describe(index, ring)
            self.front_end.start(index, ring)

    def run(self) -> str:
        """Do everything; how the device ended."""
        steps: list[tuple[int, Callable[[], None]]] = [
            (40, self.packet),
            (30, self.buffer),
            (12, self.host_connects),
            (25, self.host_acts),
            (6, self.ask),
            (3, self.restart),
            (2, self.replace_interrupt),
        ]
        weights = [weight for weight, _ in steps]
        with self.stack:
            for _ in range(STEPS):
                if self.device.end is not None:
                    break
                _, step = self.random.choices(steps, weights)[0]
                # A random message may have been one that is answered.
                with contextlib.suppress(OSError, EOFError, *([UnexpectedReply] if self.corruption else [])):
                    step()
                    if self.random.random() < self.corruption:
                        self.corrupt()
            self._close_hosts()
            end = self.device.end
            self.device.close()
            assert self.memory.canaries_are_whole(), "the device wrote outside the guest's memory"
            assert end is None or end.kind in (GUEST_BROKEN, FRONT_END_BROKEN), end
            assert self.corruption or end is None or end.kind != GUEST_BROKEN, end
            return end.problem if end is not None else CLOSED

    def packet(self) -> None:
        """Send something that looks like a packet, cut anyhow."""
        if not self._has_room(self.rings[1]):
            return
        size = self.random.choice((0, 0, 1, 100, 5000, 65536))
        header = [
            GUEST_CID,
            HOST_CID,
            self.random.choice(GUEST_PORTS),
            self.random.choice(HOST_PORTS),
            size,
            1,
            self.random.choice((1, 2, 3, 4, 5, 5, 5, 5, 6, 7)),
            self.random.choice((0, 1, 2, 3, 0xFFFFFFFF)),
            self.random.choice((0, 4096, 65536, 1 << 20, 0xFFFFFFFF)),
            self.random.choice((0, 0, 5000, self._extreme())),
        ]
        if self.random.random() < 0.05:
            field = self.random.choice((0, 1, 2, 3, 5, 6))
            header[field] = self._extreme() & (0xFFFF if field in (5, 6) else 0xFFFFFFFF)
        data = Packet._make((*header, bytes(size))).encode()
        address = self._address(self.rings[1], len(data))
        self.memory.write(address, data)
        self._offer(self.rings[1], address, len(data), 0)

    def buffer(self) -> None:
        """Offer a receive buffer of any layout."""
        if not self._has_room(self.rings[0]):
            return
        size = self.random.choice((45, 100, 3776, 4140, 65536))
        self._offer(self.rings[0], self._address(self.rings[0], size), size, IS_WRITABLE)

    def host_connects(self) -> None:
        if len(self.hosts) < 20:
            host = socket.socket(socket.AF_UNIX)
            host.setblocking(False)
            self.hosts.append(host)
            host.connect(str(self.directory / "guest-1024.sock"))

    def host_acts(self) -> None:
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                host, _ = listener.accept()
                host.setblocking(False)
                self.hosts.append(host)
        if not self.hosts:
            return
        host = self.random.choice(self.hosts)
        action = self.random.randrange(7)
        if action == 0:
            host.send(bytes(self.random.choice((1, 1000, 100_000))))
        elif action == 1:
            host.recv(self.random.choice((1, 1000, 100_000)))
        elif action == 2:
            host.shutdown(self.random.choice((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)))
        elif action == 3:
            self.hosts.remove(host)
            host.close()
        elif action == 4:
            with tempfile.TemporaryFile() as file:
                file.truncate(self.random.choice((0, 1, 100_000)))
                socket.send_fds(host, [b"\0"], [file.fileno()])
        elif action == 5:
            # One that readers read: it cannot tell whether a read of it would block.
            with open("/proc/self/smaps", "rb") as file:
                socket.send_fds(host, [b"\0"], [file.fileno()])
        else:
            socket.send_fds(host, [b"abc"], [self.rings[0].kick, self.rings[1].kick])

    def ask(self) -> None:
        """Let the device have a turn."""
        self.front_end.ask(GET_CONFIG, struct.pack("<III", 0, 8, 0) + bytes(8))

    def restart(self) -> None:
        """Pause the machine, or reset it."""
        bases = [self.front_end.stop(index) for index in range(2)]
        is_reset = self.random.random() < 0.3
        for index, ring in enumerate(self.rings):
            if is_reset:
                for place, size in ((ring.available, 4), (ring.used, 4)):
                    self.memory.write(place, bytes(size))
                ring.available_index = 0
            self.front_end.describe(index, ring, 0 if is_reset else bases[index])
            self.front_end.start(index, ring)

    def replace_interrupt(self) -> None:
        index = self.random.randrange(2)
        self.front_end.do(SET_VRING_CALL, struct.pack("<Q", index), (self.rings[index].call,))

    def corrupt(self) -> None:
        """Break a rule of the rings, or of the VMM's."""
        ring = self.random.choice(self.rings)
        action = self.random.randrange(5)
        if action == 0:
            flags = self.random.choice((0, HAS_NEXT, IS_WRITABLE, IS_INDIRECT, 3, 0xFFFF))
            ring.write_descriptor(
                self.random.randrange(RING_SIZE),
                self.random.getrandbits(64),
                self._extreme(),
                flags,
                self._extreme() & 0xFFFF,
            )
        elif action == 1:
            ring.show(self._extreme())
        elif action == 2:
            ring.offer(self._extreme())
        elif action == 3:
            place = self.random.randrange(ring.descriptors, ring.used + 6 + 8 * RING_SIZE)
            self.memory.write(place, self.random.randbytes(8))
        elif self.random.random() < 0.1:
            self.front_end.send(self.random.randrange(1, 30), self.random.randbytes(self.random.randrange(64)))
        os.eventfd_write(ring.kick, 1)

    def _offer(self, ring: Ring, address: int, size: int, flags: int) -> None:
        # Descriptors are taken in turn.
        cuts = sorted(self.random.sample(range(1, size), min(self.random.randrange(4), size - 1)))
        bounds = [0, *cuts, size]
        first = 4 * (ring.available_index % IN_FLIGHT_MAX)
        for place in range(len(bounds) - 1):
            is_last = place == len(bounds) - 2
            piece = bounds[place + 1] - bounds[place]
            following = 0 if is_last else first + place + 1
            ring.write_descriptor(
                first + place, address + bounds[place], piece, flags | (0 if is_last else HAS_NEXT), following
            )
        ring.offer(first)
        ring.notify()

    def _has_room(self, ring: Ring) -> bool:
        # Who breaks the rules does not ask whether the device is done with a buffer.
        (used,) = struct.unpack("<H", self.memory.read(ring.used + 2, 2))
        return self.corruption > 0 or (ring.available_index - used) & 0xFFFF < IN_FLIGHT_MAX

    def _address(self, ring: Ring, size: int) -> int:
        # A guest that keeps the rules has a place for each buffer; one of them lies across the border of the regions.
        start = self.memory.regions[0].guest_address + 8192
        border = self.memory.regions[1].guest_address
        if self.random.random() < self.corruption:
            return self.random.randrange(start, border - size)
        place = ring.available_index % IN_FLIGHT_MAX
        if ring is self.rings[1]:
            return start + place * PLACE_BYTES
        return start + (IN_FLIGHT_MAX + place) * PLACE_BYTES if place else border - size // 2

    def _extreme(self) -> int:
        return self.random.choice((*_EXTREMES, self.random.getrandbits(32)))

    def _listener(self, port: int) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        self.stack.callback(listener.close)
        listener.setblocking(False)
        listener.bind(str(self.directory / f"host-{port}.sock"))
        listener.listen(self.random.choice((0, 8)))
        return listener

    def _close_hosts(self) -> None:
        for host in self.hosts:
            host.close()


def run_case(number: int) -> str:
    """Run one case in a directory of its own, and look at what is left; how its device ended."""
    files, others = listed_descriptors(), readers()
    directory = Path(tempfile.mkdtemp(prefix="firkin-vsock-"))
    try:
        problem = Case(number, directory).run()
    finally:
        shutil.rmtree(directory)
    wait_until_no_reader_is_left(others)
    assert not opened_since(files), "files are left open"
    assert "memfd:guest" not in Path("/proc/self/maps").read_text(), "memory is left mapped"
    return problem


def main() -> None:
    """Run cases until the time is up, and tell how the devices ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0, help="the first case's number")
    parser.add_argument("--case", type=int, help="run this case alone")
    options = parser.parse_args()
    if options.case is not None:
        print(run_case(options.case))
        return
    ends: Counter[str] = Counter()
    number = options.first
    deadline = time.monotonic() + options.seconds
    while time.monotonic() < deadline:
        try:
            ends[run_case(number)] += 1
        except BaseException:
            print(f"case {number} failed", flush=True)
            raise
        number += 1
    print(f"{number - options.first} cases; devices ended: {dict(ends.most_common())}")


if __name__ == "__main__":
    main()
