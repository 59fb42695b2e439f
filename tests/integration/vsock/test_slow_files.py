"""Files that were handed over, on disks that hang: only the streams that they are for wait."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin._fast.vsock import CLOSED, VsockDevice
from firkin.vminitd.filesystem.loop_devices import attached
from firkin.vminitd.filesystem.syscalls import mount, unmount
from tests.descriptors import listed_descriptors

from .guest import WINDOW_BYTES, Guest, accept, connect
from .host import accepted, host_connection, host_listener
from .packets import CREDIT_REQUEST, NO_MORE, RESET, SHUTDOWN
from .readers import READERS_MAX, readers, wait_until_no_reader_is_left
from .rings import DEADLINE_SECONDS
from .slow_file import MNT_DETACH, SlowFile

MS_RDONLY = 1
# The device waits for its readers for a quarter of a second; the rest is for a busy machine.
CLOSE_SECONDS = 10.0


@pytest.fixture
def others() -> frozenset[str]:
    """The readers of other devices, which machines of other tests have."""
    return readers()


def hand_over(connection: socket.socket, file: int) -> None:
    socket.send_fds(connection, [b"\0"], [file])
    connection.shutdown(socket.SHUT_WR)


@pytest.mark.needs_root
def test_a_file_whose_disk_hangs_holds_up_no_other_stream(device: VsockDevice, directory: Path, guest: Guest) -> None:
    data = random.Random(1).randbytes(600_000)
    device.listen(1024)
    with SlowFile(directory, data) as slow, host_connection(directory, 1024) as waiting:
        slow.hang()
        hand_over(waiting, slow.file)
        waiting_stream = accept(guest, 1024)
        slow.wait_until_it_hangs()
        with host_connection(directory, 1024) as host, tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            file.seek(0)
            stream = accept(guest, 1024)
            host.sendall(b"bytes and ")
            hand_over(host, file.fileno())
            assert stream.read(len(data) + 10) == b"bytes and " + data
            guest.expect(SHUTDOWN)
            stream.write(b"an answer")
            assert host.recv(100) == b"an answer"
            with host_listener(directory, 77) as listener:
                stream = connect(guest, 5000, 77)
                with accepted(listener) as host:
                    stream.write(b"and one from the guest")
                    assert host.recv(100) == b"and one from the guest"
                    stream.say(SHUTDOWN, NO_MORE)
                    guest.expect(RESET)
        pass_over_the_end_of_the_host(guest)
        slow.let_go()
        assert waiting_stream.read(len(data) + 1) == data
    assert device.statistics().reads_awaited >= 5


def pass_over_the_end_of_the_host(guest: Guest) -> None:
    """It may be told one direction after the other."""
    while guest.expect(SHUTDOWN).flags != NO_MORE:
        pass


@pytest.mark.needs_root
def test_a_device_can_be_closed_while_a_disk_hangs(directory: Path, others: frozenset[str]) -> None:
    with VsockDevice(directory / "vhost.sock", 3, directory) as device, SlowFile(directory, b"x" * 1000) as slow:
        with Guest(directory / "vhost.sock") as guest, host_connection_to(device, directory) as host:
            guest.post_buffers()
            slow.hang()
            hand_over(host, slow.file)
            accept(guest, 1024)
            slow.wait_until_it_hangs()
            started = time.monotonic()
            device.close()
            assert time.monotonic() - started < CLOSE_SECONDS
            assert device.end is not None
            assert device.end.kind == CLOSED
            assert host.recv(1) == b""
            assert len(readers() - others) == 1
        slow.let_go()
        wait_until_no_reader_is_left(others)


def host_connection_to(device: VsockDevice, directory: Path) -> socket.socket:
    device.listen(1024)
    return host_connection(directory, 1024)


@pytest.mark.needs_root
def test_a_device_ends_with_its_vmm_while_a_disk_hangs(directory: Path, others: frozenset[str]) -> None:
    with VsockDevice(directory / "vhost.sock", 3, directory) as device, SlowFile(directory, b"x" * 1000) as slow:
        with Guest(directory / "vhost.sock") as guest, host_connection_to(device, directory) as host:
            guest.post_buffers()
            slow.hang()
            hand_over(host, slow.file)
            accept(guest, 1024)
            slow.wait_until_it_hangs()
        assert device.wait(CLOSE_SECONDS) is not None
        slow.let_go()
        wait_until_no_reader_is_left(others)


@pytest.mark.needs_root
def test_a_stream_that_is_reset_while_its_disk_hangs_leaves_its_bytes_to_nobody(
    others: frozenset[str], device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with SlowFile(directory, b"late" * 1000) as slow:
        slow.hang()
        for attempt in range(3):
            with host_connection(directory, 1024) as host:
                hand_over(host, slow.file)
                stream = accept(guest, 1024)
                slow.wait_until_it_hangs(attempt + 1)
                stream.say(RESET)
                assert host.recv(1) == b""
        with host_connection(directory, 1024) as host:
            # It has the slot that the others had.
            stream = accept(guest, 1024)
            slow.let_go()
            wait_until_all_but_one_are_closed(slow.file)
            host.sendall(b"early")
            assert stream.read(5) == b"early"
    device.close()
    wait_until_no_reader_is_left(others)


def wait_until_all_but_one_are_closed(file: int) -> None:
    """Wait until the readers are done with what nobody wants any more."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    path = os.readlink(f"/proc/self/fd/{file}")
    while sum(name.endswith(f"-> {path}") for name in listed_descriptors()) > 1:
        assert time.monotonic() < deadline, "a reader still has it"
        os.sched_yield()


@pytest.mark.needs_root
def test_a_stream_whose_disk_fails_is_reset(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with SlowFile(directory, b"x" * 1000) as slow, host_connection(directory, 1024) as host:
        slow.hang()
        hand_over(host, slow.file)
        accept(guest, 1024)
        slow.wait_until_it_hangs()
        slow.let_go(failure=errno.EIO)
        guest.expect(RESET)
        assert host.recv(1) == b""
        # Whoever handed it over finds the place that cannot be read.
        with pytest.raises(OSError, match="Input/output error"):
            os.pread(slow.file, 1, os.lseek(slow.file, 0, os.SEEK_CUR))


@pytest.mark.needs_root
def test_more_disks_than_readers_may_hang(
    others: frozenset[str], device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(SlowFile(directory, bytes([index]) * 200_000)) for index in range(READERS_MAX + 2)]
        streams = []
        for index, file in enumerate(slow):
            file.hang()
            host = stack.enter_context(host_connection(directory, 1024))
            hand_over(host, file.file)
            streams.append(accept(guest, 1024))
            if index < READERS_MAX:
                file.wait_until_it_hangs()
        assert len(readers() - others) == READERS_MAX
        host = stack.enter_context(host_connection(directory, 1024))
        host.sendall(b"passes")
        assert accept(guest, 1024).read(6) == b"passes"
        for file in slow:
            file.let_go()
        received: defaultdict[int, bytes] = defaultdict(bytes)
        while sum(map(len, received.values())) < len(slow) * 200_000:
            packet = guest.next_packet()
            received[packet.source_port] += packet.payload
        for index, stream in enumerate(streams):
            assert received[stream.host_port] == bytes([index]) * 200_000


@pytest.mark.needs_root
def test_a_slow_file_waits_for_the_guest_without_a_sound(device: VsockDevice, directory: Path, guest: Guest) -> None:
    data = random.Random(2).randbytes(3 * WINDOW_BYTES)
    device.listen(1024)
    with SlowFile(directory, data) as slow, host_connection(directory, 1024) as host:
        hand_over(host, slow.file)
        stream = accept(guest, 1024)
        arrived = b""
        while (packet := guest.next_packet()).operation != CREDIT_REQUEST:
            arrived += packet.payload
        assert arrived == data[:WINDOW_BYTES]
        guest.front_end.guest_cid()  # a turn of the device
        before = device.statistics().wakeups
        assert device.wait(0.2) is None
        assert device.statistics().wakeups == before
        stream.received = WINDOW_BYTES
        guest.packets.appendleft(packet)
        assert stream.read(len(data)) == data[WINDOW_BYTES:]


@pytest.mark.needs_root
def test_a_file_of_a_local_filesystem_whose_disk_hangs_holds_up_no_other_stream(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    data = random.Random(5).randbytes(400_000)
    device.listen(1024)
    with file_on_a_slow_disk(directory, data) as (slow, file), host_connection(directory, 1024) as waiting:
        slow.hang()
        hand_over(waiting, file)
        waiting_stream = accept(guest, 1024)
        slow.wait_until_it_hangs()
        with host_connection(directory, 1024) as host:
            host.sendall(b"passes")
            assert accept(guest, 1024).read(6) == b"passes"
        pass_over_the_end_of_the_host(guest)
        slow.let_go()
        assert waiting_stream.read(len(data) + 1) == data
    assert device.statistics().reads_awaited > 0


@contextlib.contextmanager
def file_on_a_slow_disk(directory: Path, data: bytes) -> Iterator[tuple[SlowFile, int]]:
    """A file of an ext4 that knows what it has in memory, which is nothing of this file, and its disk."""
    source, image, place = (directory / name for name in ("source", "image", "place"))
    source.mkdir()
    place.mkdir()
    (source / "file").write_bytes(data)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", source, image, "4M"], check=True, stdout=subprocess.DEVNULL)
    with SlowFile(directory, image.read_bytes()) as slow, attached(f"/proc/self/fd/{slow.file}") as disk:
        mount(disk, str(place), "ext4", MS_RDONLY, "noload")
        try:
            file = os.open(place / "file", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            unmount(str(place), MNT_DETACH)
        try:
            yield slow, file
        finally:
            os.close(file)


def test_a_file_that_is_not_in_memory_arrives_whole(device: VsockDevice, directory: Path, guest: Guest) -> None:
    data = random.Random(3).randbytes(3_000_000)
    device.listen(1024)
    with host_connection(directory, 1024) as host, tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(5)
        hand_over(host, file.fileno())
        assert accept(guest, 1024).read(len(data)) == data[5:]
        assert file.seek(0, os.SEEK_CUR) == len(data)


def test_a_file_in_memory_is_read_without_readers(device: VsockDevice, directory: Path, guest: Guest) -> None:
    data = random.Random(4).randbytes(1_000_000)
    device.listen(1024)
    with host_connection(directory, 1024) as host, tempfile.TemporaryFile(dir=Path(__file__).parent) as file:
        file.write(data)
        file.flush()
        file.seek(0)
        hand_over(host, file.fileno())
        assert accept(guest, 1024).read(len(data) + 1) == data
        assert device.statistics().reads_awaited == 0 or not is_in_memory(file.fileno(), len(data))


def is_in_memory(file: int, size: int) -> bool:
    """Whether its filesystem says that all of it is."""
    with contextlib.suppress(OSError):
        return os.preadv(file, [bytearray(size)], 0, os.RWF_NOWAIT) == size
    return False
