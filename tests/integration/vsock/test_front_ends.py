"""The VMM's side: what it may say and when, how it goes, and what is left then."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firkin._fast.vsock import CLOSED, FRONT_END_BROKEN, FRONT_END_GONE, VsockDevice
from tests.descriptors import open_descriptors, opened_since

from .front_end import (
    GET_CONFIG,
    SET_FEATURES,
    SET_MEM_TABLE,
    SET_PROTOCOL_FEATURES,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    SET_VRING_CALL,
    SET_VRING_ENABLE,
    SET_VRING_KICK,
    SET_VRING_NUM,
    FrontEnd,
    memory_table,
)
from .guest import Guest, accept, connect
from .host import accepted, host_connection, host_listener
from .memory import GuestMemory, Region
from .packets import GUEST_CID, REQUEST, RESET
from .rings import DEADLINE_SECONDS, Ring

Breach = Callable[[FrontEnd, GuestMemory], None]


@pytest.fixture
def memory() -> Iterator[GuestMemory]:
    memory = GuestMemory()
    yield memory
    memory.close()


@pytest.fixture
def front_end(device: VsockDevice, directory: Path) -> Iterator[FrontEnd]:
    front_end = FrontEnd(directory / "vhost.sock")
    front_end.negotiate()
    yield front_end
    front_end.close()


def unknown_request(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(6, bytes(16))


def request_beyond_the_table(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(0xFFFFFFFF)


def too_large_a_message(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.socket.sendall(struct.pack("<III", SET_FEATURES, 1, 0xFFFFFFFF))


def too_small_a_message(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_FEATURES, bytes(7))


def another_version(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_FEATURES, bytes(8), flags=2)


def a_reply_nobody_asked_for(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_FEATURES, bytes(8), flags=1 | 4)


def features_that_were_not_offered(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_FEATURES, struct.pack("<Q", 1 << 29))


def protocol_features_that_were_not_offered(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", 1))


def a_file_that_does_not_belong(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_FEATURES, bytes(8), (memory.fd,))


def more_files_than_a_message_may_have(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, memory_table(memory.regions), (memory.fd,) * 9)


def regions_without_files(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, memory_table(memory.regions))


def more_regions_than_described(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, struct.pack("<II", 8, 0) + bytes(32), (memory.fd,) * 8)


def memory_larger_than_its_file(front_end: FrontEnd, memory: GuestMemory) -> None:
    size = os.fstat(memory.fd).st_size
    front_end.send(SET_MEM_TABLE, memory_table([Region(0, size, 0, 1)]), (memory.fd,))


def memory_around_the_address_space(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, memory_table([Region(0, 1 << 63, 0, (1 << 63) + 1)]), (memory.fd,))


def memory_at_the_end_of_the_address_space(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, memory_table([Region((1 << 64) - 4096, 8192, 0, 0)]), (memory.fd,))


def memory_without_size(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_MEM_TABLE, memory_table([Region(0, 0, 0, 0)]), (memory.fd,))


def memory_that_could_shrink(front_end: FrontEnd, memory: GuestMemory) -> None:
    other = GuestMemory((1 << 20,), seals=fcntl.F_SEAL_GROW)
    front_end.send(SET_MEM_TABLE, memory_table(other.regions), (other.fd,))
    other.close()


def memory_that_is_no_memfd(front_end: FrontEnd, memory: GuestMemory) -> None:
    event = os.eventfd(0)
    front_end.send(SET_MEM_TABLE, memory_table(memory.regions), (event,))
    os.close(event)


def a_third_ring(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_ENABLE, struct.pack("<II", 2, 1))


def a_ring_without_descriptors(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_NUM, struct.pack("<II", 0, 0))


def a_ring_of_an_odd_size(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_NUM, struct.pack("<II", 0, 129))


def too_large_a_ring(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_NUM, struct.pack("<II", 0, 2048))


def a_base_of_more_than_16_bits(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_BASE, struct.pack("<II", 0, 0x10000))


def a_kick_for_a_ring_that_is_not_described(front_end: FrontEnd, memory: GuestMemory) -> None:
    event = os.eventfd(0)
    front_end.send(SET_VRING_KICK, struct.pack("<Q", 0), (event,))
    os.close(event)


def a_kick_that_is_no_event(front_end: FrontEnd, memory: GuestMemory) -> None:
    front_end.send(SET_VRING_KICK, struct.pack("<Q", 0), (memory.fd,))


def an_interrupt_that_could_block(front_end: FrontEnd, memory: GuestMemory) -> None:
    reader, writer = os.pipe()
    front_end.send(SET_VRING_CALL, struct.pack("<Q", 0), (writer,))
    os.close(reader)
    os.close(writer)


def _ring_at(front_end: FrontEnd, memory: GuestMemory, descriptors: int) -> None:
    front_end.share(memory)
    ring = Ring(memory)
    front_end.describe(0, ring)
    used, available = (memory.front_end_address(place) for place in (ring.used, ring.available))
    front_end.do(SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, descriptors, used, available, 0))
    front_end.send(SET_VRING_KICK, struct.pack("<Q", 0), (ring.kick,))
    ring.close()


def a_ring_across_the_end_of_memory(front_end: FrontEnd, memory: GuestMemory) -> None:
    region = memory.regions[0]
    _ring_at(front_end, memory, region.front_end_address + region.size - 128 * 16 + 16)


def a_ring_at_an_odd_address(front_end: FrontEnd, memory: GuestMemory) -> None:
    _ring_at(front_end, memory, memory.regions[0].front_end_address + 8)


BREACHES: list[tuple[Breach, str]] = [
    (unknown_request, "message unknown"),
    (request_beyond_the_table, "message unknown"),
    (too_large_a_message, "message malformed"),
    (too_small_a_message, "message malformed"),
    (another_version, "message malformed"),
    (a_reply_nobody_asked_for, "message malformed"),
    (features_that_were_not_offered, "message malformed"),
    (protocol_features_that_were_not_offered, "message malformed"),
    (a_file_that_does_not_belong, "message malformed"),
    (more_files_than_a_message_may_have, "message malformed"),
    (regions_without_files, "message malformed"),
    (more_regions_than_described, "message malformed"),
    (memory_larger_than_its_file, "memory too small"),
    (memory_around_the_address_space, "memory too small"),
    (memory_at_the_end_of_the_address_space, "memory too small"),
    (memory_without_size, "memory too small"),
    (memory_that_could_shrink, "memory not sealed"),
    (memory_that_is_no_memfd, "memory not sealed"),
    (a_third_ring, "ring unknown"),
    (a_ring_without_descriptors, "ring size refused"),
    (a_ring_of_an_odd_size, "ring size refused"),
    (too_large_a_ring, "ring size refused"),
    (a_base_of_more_than_16_bits, "message malformed"),
    (a_kick_for_a_ring_that_is_not_described, "message too early"),
    (a_kick_that_is_no_event, "not an event"),
    (an_interrupt_that_could_block, "not an event"),
    (a_ring_across_the_end_of_memory, "ring outside memory"),
    (a_ring_at_an_odd_address, "ring outside memory"),
]


@pytest.mark.parametrize(("breach", "problem"), BREACHES, ids=[breach.__name__ for breach, _ in BREACHES])
def test_a_vmm_that_breaks_the_protocol_loses_its_device(
    device: VsockDevice, front_end: FrontEnd, memory: GuestMemory, breach: Breach, problem: str
) -> None:
    breach(front_end, memory)
    end = device.wait(DEADLINE_SECONDS)
    assert end is not None
    assert (end.kind, end.problem) == (FRONT_END_BROKEN, problem)
    assert memory.canaries_are_whole()


@pytest.mark.parametrize(("offset", "size"), [(0, 9), (8, 1), (0xFFFFFFFF, 8), (1, 0xFFFFFFFF)])
def test_config_that_does_not_exist_is_answered_with_nothing(front_end: FrontEnd, offset: int, size: int) -> None:
    assert front_end.ask(GET_CONFIG, struct.pack("<III", offset, size, 0) + bytes(16)) == b""


def test_a_message_may_come_byte_by_byte(front_end: FrontEnd) -> None:
    for byte in struct.pack("<III", GET_CONFIG, 1, 20) + struct.pack("<III", 0, 8, 0) + bytes(8):
        front_end.socket.sendall(bytes([byte]))
    assert struct.unpack("<Q", front_end.reply(GET_CONFIG)[12:]) == (GUEST_CID,)


def test_a_vmm_that_goes_leaves_no_file_and_no_mapping(device: VsockDevice, directory: Path) -> None:
    files = open_descriptors()
    device.listen(1024)
    with Guest(directory / "vhost.sock") as guest, host_connection(directory, 1024) as host:
        guest.post_buffers()
        accept(guest, 1024)
        guest.front_end.close()
        assert host.recv(1) == b""
        end = device.wait(DEADLINE_SECONDS)
    assert end is not None
    assert (end.kind, end.problem) == (FRONT_END_GONE, "front end gone")
    assert "memfd:guest" not in Path("/proc/self/maps").read_text()
    assert not opened_since(files)
    assert sorted(path.name for path in directory.iterdir()) == []


def test_a_closed_device_leaves_no_file_and_no_thread(directory: Path) -> None:
    files = open_descriptors()
    for _ in range(3):
        device = VsockDevice(directory / "vhost.sock", GUEST_CID, directory)
        device.listen(1024)
        device.start()
        with Guest(directory / "vhost.sock") as guest:
            guest.post_buffers()
            with host_connection(directory, 1024):
                accept(guest, 1024)
                device.close()
        device.close()
        assert device.end is not None
        assert device.end.kind == CLOSED
    assert not opened_since(files)
    assert list(directory.iterdir()) == []


def test_a_second_vmm_is_refused(guest: Guest, directory: Path) -> None:
    assert guest.front_end.guest_cid() == GUEST_CID
    with socket.socket(socket.AF_UNIX) as second, pytest.raises(ConnectionRefusedError):
        second.connect(str(directory / "vhost.sock"))


def test_an_event_loop_is_told_of_the_end(device: VsockDevice, front_end: FrontEnd) -> None:
    assert select.select([device], [], [], 0) == ([], [], [])
    front_end.close()
    assert select.select([device], [], [], DEADLINE_SECONDS)[0] == [device]
    assert device.end is not None


def test_a_device_that_has_ended_takes_no_more_ports(device: VsockDevice, front_end: FrontEnd) -> None:
    front_end.close()
    device.wait(DEADLINE_SECONDS)
    with pytest.raises(ValueError, match="ended"):
        device.listen(1024)


def test_a_new_device_takes_the_place_of_an_old_one(device: VsockDevice, directory: Path) -> None:
    with Guest(directory / "vhost.sock"):
        pass
    device.wait(DEADLINE_SECONDS)
    with VsockDevice(directory / "vhost.sock", GUEST_CID, directory):
        device.close()
        with Guest(directory / "vhost.sock") as guest:
            assert guest.front_end.guest_cid() == GUEST_CID


def test_a_paused_machine_goes_on_with_its_streams(directory: Path, guest: Guest) -> None:
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        with accepted(listener) as host:
            bases = [guest.front_end.stop(index) for index in range(2)]
            host.sendall(b"while it was paused")
            for index, ring in enumerate((guest.receive, guest.transmit)):
                guest.front_end.describe(index, ring, bases[index])
                guest.front_end.start(index, ring)
            assert stream.read(19) == b"while it was paused"
            stream.write(b"and after")
            assert host.recv(100) == b"and after"


def test_a_machine_that_was_reset_has_no_streams(device: VsockDevice, directory: Path, guest: Guest) -> None:
    with host_listener(directory, 9) as listener:
        connect(guest, 5000, 9)
        with accepted(listener) as host:
            for index in range(2):
                guest.front_end.stop(index)
            guest.receive.close()
            guest.transmit.close()
            guest.memory.close()
            guest.memory = GuestMemory()
            guest.start()
            guest.post_buffers()
            assert host.recv(1) == b""
            connect(guest, 5000, 9)


def test_interrupts_and_memory_may_be_replaced_while_it_runs(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    old = guest.receive.call
    guest.receive.call = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    guest.front_end.do(SET_VRING_CALL, struct.pack("<Q", 0), (guest.receive.call,))
    guest.front_end.share(guest.memory)
    while select.select([old], [], [], 0)[0]:
        os.eventfd_read(old)
    with host_listener(directory, 9) as listener:
        connect(guest, 5000, 9)
        listener.close()
    assert not select.select([old], [], [], 0)[0]
    os.close(old)


def test_an_interrupt_that_replaces_another_is_raised_at_once_lest_one_was_lost(guest: Guest) -> None:
    """A front end looks at the old one before it has told of the new one."""
    new = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    guest.front_end.do(SET_VRING_CALL, struct.pack("<Q", 0), (new,))
    assert select.select([new], [], [], DEADLINE_SECONDS)[0]
    os.close(new)


def test_a_ring_that_moves_out_of_memory_ends_the_device(device: VsockDevice, guest: Guest) -> None:
    other = GuestMemory((4096,))
    guest.front_end.send(SET_MEM_TABLE, memory_table(other.regions), (other.fd,))
    end = device.wait(DEADLINE_SECONDS)
    other.close()
    assert end is not None
    assert (end.kind, end.problem) == (FRONT_END_BROKEN, "ring outside memory")


def test_a_vmm_that_does_not_read_its_replies_is_dropped(device: VsockDevice, directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as vmm:
        vmm.settimeout(DEADLINE_SECONDS)
        vmm.connect(str(directory / "vhost.sock"))
        requests = struct.pack("<III", 1, 1, 0) * 1_000_000
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            vmm.sendall(requests)
    end = device.wait(DEADLINE_SECONDS)
    assert end is not None
    assert (end.kind, end.problem) == (FRONT_END_BROKEN, "reply not taken")


def test_a_vmm_that_never_stops_talking_cannot_keep_a_device_from_closing(directory: Path) -> None:
    device = VsockDevice(directory / "vhost.sock", GUEST_CID, directory)
    device.start()
    front_end = FrontEnd(directory / "vhost.sock")
    front_end.negotiate()
    front_end.socket.setblocking(False)
    message = struct.pack("<III", SET_FEATURES, 1, 8) + bytes(8)
    for _ in range(1000):
        try:
            front_end.socket.send(message * 16)
        except BlockingIOError:
            break
    device.close()
    front_end.close()
    assert device.end is not None


def test_a_guest_cid_that_is_reserved_is_refused(directory: Path) -> None:
    for cid in (0, 1, 2, 0xFFFFFFFF):
        with pytest.raises(ValueError, match="reserved"):
            VsockDevice(directory / "vhost.sock", cid, directory)


def test_a_directory_with_a_long_path_serves_as_well(directory: Path) -> None:
    deep = directory / ("d" * 100)
    deep.mkdir()
    with (
        VsockDevice(directory / "vhost.sock", GUEST_CID, deep) as device,
        Guest(directory / "vhost.sock") as guest,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as host,
    ):
        guest.post_buffers()
        handle = os.open(deep, os.O_PATH)
        listener.bind(f"/proc/self/fd/{handle}/host-9.sock")
        listener.listen()
        connect(guest, 5000, 9)
        device.listen(1024)
        host.connect(f"/proc/self/fd/{handle}/guest-1024.sock")
        os.close(handle)
        assert guest.expect(REQUEST).destination_port == 1024


def test_a_host_that_leaves_before_the_guest_answers_is_forgotten(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with host_connection(directory, 1024):
        guest.expect(REQUEST)
    guest.expect(RESET)
    assert device.statistics().open_streams == 0
