"""A guest that breaks a rule of its rings loses its device, for a reason that is told, and touches nothing else."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from firkin._fast.vsock import GUEST_BROKEN, VsockDevice

from .guest import Guest, GuestStream, accept, connect
from .host import accepted, host_connection, host_listener
from .memory import GuestMemory
from .packets import CREDIT_REQUEST, CREDIT_UPDATE, GUEST_CID, HEADER_BYTES, PAYLOAD, REQUEST, RESET, SHUTDOWN
from .rings import DEADLINE_SECONDS, HAS_NEXT, IS_INDIRECT, IS_WRITABLE, Piece, Ring

Breach = Callable[[Guest], None]
RESETS_MAX = 1024


def kick(ring: Ring) -> None:
    ring.memory.write(ring.used, bytes(2))
    ring.notify()


def jump_ahead(guest: Guest) -> None:
    guest.transmit.show(guest.transmit.available_index + guest.transmit.size + 1)


def go_back(guest: Guest) -> None:
    guest.transmit.show(guest.transmit.available_index - 1)


def unknown_head(guest: Guest) -> None:
    guest.transmit.offer(guest.transmit.size)


def unknown_next(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.transmit.descriptors, 44, HAS_NEXT, guest.transmit.size)
    guest.transmit.offer(0)


def endless_chain(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.transmit.descriptors, 44, HAS_NEXT, 1)
    guest.transmit.write_descriptor(1, guest.transmit.descriptors, 44, HAS_NEXT, 0)
    guest.transmit.offer(0)


def indirect_descriptor(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.transmit.descriptors, 64, IS_INDIRECT, 0)
    guest.transmit.offer(0)


def writable_packet(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.transmit.descriptors, 64, IS_WRITABLE, 0)
    guest.transmit.offer(0)


def below_memory(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.memory.regions[0].guest_address - 1, 64, 0, 0)
    guest.transmit.offer(0)


def across_the_end(guest: Guest) -> None:
    region = guest.memory.regions[-1]
    guest.transmit.write_descriptor(0, region.guest_address + region.size - 63, 64, 0, 0)
    guest.transmit.offer(0)


def around_the_address_space(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, 0xFFFFFFFFFFFFFFF0, 0xFFFFFFFF, 0, 0)
    guest.transmit.offer(0)


def largest_size(guest: Guest) -> None:
    guest.transmit.write_descriptor(0, guest.memory.regions[0].guest_address, 0xFFFFFFFF, 0, 0)
    guest.transmit.offer(0)


def short_header(guest: Guest) -> None:
    guest.transmit.add([Piece(guest.memory.regions[0].guest_address, HEADER_BYTES - 1)], writable=False)


def empty_chain(guest: Guest) -> None:
    guest.transmit.add([Piece(guest.memory.regions[0].guest_address, 0)], writable=False)


def payload_beyond_the_chain(guest: Guest) -> None:
    packet = GuestStream(guest, 5000, 9).packet(PAYLOAD, payload=b"1234")
    address = guest.memory.allocate(64)
    guest.memory.write(address, packet._replace(size=5).encode())
    guest.transmit.add([Piece(address, HEADER_BYTES + 4)], writable=False)


BREACHES: list[tuple[Breach, str]] = [
    (jump_ahead, "available index jumped"),
    (go_back, "available index jumped"),
    (unknown_head, "descriptor unknown"),
    (unknown_next, "descriptor unknown"),
    (endless_chain, "chain endless"),
    (indirect_descriptor, "descriptor indirect"),
    (writable_packet, "descriptor wrong way"),
    (below_memory, "descriptor outside memory"),
    (across_the_end, "descriptor outside memory"),
    (around_the_address_space, "descriptor outside memory"),
    (largest_size, "descriptor outside memory"),
    (short_header, "packet too short"),
    (empty_chain, "packet too short"),
    (payload_beyond_the_chain, "packet too short"),
]


@pytest.mark.parametrize(("breach", "problem"), BREACHES, ids=[breach.__name__ for breach, _ in BREACHES])
def test_a_broken_transmit_ring_ends_its_own_device(
    device: VsockDevice, guest: Guest, breach: Breach, problem: str
) -> None:
    breach(guest)
    kick(guest.transmit)
    end = device.wait(DEADLINE_SECONDS)
    assert end is not None
    assert (end.kind, end.problem) == (GUEST_BROKEN, problem)
    assert guest.front_end.is_closed()


@pytest.mark.parametrize(
    ("size", "flags", "problem"),
    [
        (HEADER_BYTES - 1, IS_WRITABLE, "buffer too small"),
        (HEADER_BYTES, IS_WRITABLE, "buffer too small"),
        (0, IS_WRITABLE, "buffer too small"),
        (4096, 0, "descriptor wrong way"),
        (0xFFFFFFFF, IS_WRITABLE, "descriptor outside memory"),
    ],
)
def test_a_bad_receive_buffer_ends_its_own_device(
    device: VsockDevice, directory: Path, size: int, flags: int, problem: str
) -> None:
    device.listen(1024)
    with Guest(directory / "vhost.sock") as guest, host_connection(directory, 1024):
        guest.receive.write_descriptor(0, guest.memory.regions[0].guest_address, size, flags, 0)
        guest.receive.offer(0)
        kick(guest.receive)
        end = device.wait(DEADLINE_SECONDS)
        assert end is not None
        assert (end.kind, end.problem) == (GUEST_BROKEN, problem)
        assert guest.memory.canaries_are_whole()


def test_a_broken_guest_leaves_the_other_guests_alone(device: VsockDevice, directory: Path, guest: Guest) -> None:
    (directory / "other").mkdir()
    with (
        VsockDevice(directory / "other" / "vhost.sock", GUEST_CID, directory / "other") as other_device,
        Guest(directory / "other" / "vhost.sock") as other,
    ):
        jump_ahead(other)
        kick(other.transmit)
        assert other_device.wait(DEADLINE_SECONDS) is not None
        with host_listener(directory, 9) as listener:
            stream = connect(guest, 5000, 9)
            with accepted(listener) as host:
                stream.write(b"still here")
                assert host.recv(100) == b"still here"
    assert device.end is None


def test_a_broken_guest_ends_its_streams_and_refuses_new_ones(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        accept(guest, 1024)
        jump_ahead(guest)
        kick(guest.transmit)
        assert host.recv(1) == b""
    assert device.wait(DEADLINE_SECONDS) is not None
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(FileNotFoundError):
        late.connect(str(directory / "guest-1024.sock"))


def test_packets_of_others_are_nobodys(device: VsockDevice, guest: Guest) -> None:
    request = GuestStream(guest, 5000, 9).packet(REQUEST)
    guest.send(request._replace(source_cid=GUEST_CID + 1))
    guest.send(request._replace(destination_cid=GUEST_CID))
    guest.send(request._replace(destination_cid=1 << 40))
    guest.send(request._replace(source_port=6000))
    assert guest.expect(RESET).destination_port == 6000
    assert device.statistics().open_streams == 0


@pytest.mark.parametrize("operation", [0, 2, 4, 5, 6, 7, 8, 0xFFFF])
def test_a_packet_of_no_stream_is_answered_with_a_reset(guest: Guest, operation: int) -> None:
    GuestStream(guest, 5000, 9).say(operation)
    assert guest.expect(RESET)[2:4] == (9, 5000)


def test_a_reset_of_no_stream_is_not_answered(guest: Guest) -> None:
    GuestStream(guest, 5000, 9).say(RESET)
    GuestStream(guest, 5001, 9).say(SHUTDOWN)
    assert guest.expect(RESET)[2:4] == (9, 5001)


@pytest.mark.parametrize("operation", [0, 1, 2, 8, 0xFFFF])
def test_an_operation_out_of_place_ends_the_stream(
    device: VsockDevice, directory: Path, guest: Guest, operation: int
) -> None:
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        with accepted(listener) as host:
            stream.say(operation)
            guest.expect(RESET)
            assert host.recv(1) == b""
    assert device.statistics().open_streams == 0


def test_a_packet_of_another_type_ends_the_stream(directory: Path, guest: Guest) -> None:
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        with accepted(listener):
            guest.send(stream.packet(PAYLOAD, payload=b"x")._replace(type=2))
            guest.expect(RESET)


def test_a_guest_that_sends_more_than_it_may_loses_the_stream(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        with accepted(listener):
            answers: list[int] = []
            while RESET not in answers:
                stream.say(PAYLOAD, payload=bytes(65536))
                guest.poll()
                answers += [guest.packets.popleft().operation for _ in range(len(guest.packets))]
            assert set(answers[: answers.index(RESET)]) <= {CREDIT_UPDATE}
    assert device.statistics().open_streams == 0


def test_a_guest_that_counts_wrongly_gets_nothing(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        stream.forwarded = 1000  # of nothing that was sent
        stream.say(CREDIT_UPDATE)
        host.sendall(b"hello")
        assert guest.expect(CREDIT_REQUEST).size == 0
        stream.forwarded = 0
        stream.say(CREDIT_UPDATE)
        assert stream.read(5) == b"hello"


def test_a_guest_has_a_bounded_number_of_streams(directory: Path) -> None:
    with (
        VsockDevice(directory / "vhost.sock", GUEST_CID, directory, stream_limit=3) as device,
        Guest(directory / "vhost.sock") as guest,
        host_listener(directory, 9) as listener,
    ):
        guest.post_buffers()
        streams = [connect(guest, 5000 + index, 9) for index in range(3)]
        GuestStream(guest, 6000, 9).say(REQUEST)
        assert guest.expect(RESET).destination_port == 6000
        assert device.statistics().open_streams == 3
        streams[0].say(RESET)
        connect(guest, 6000, 9)
        listener.close()


def test_resets_without_buffers_to_send_them_in_are_bounded(device: VsockDevice, directory: Path) -> None:
    with Guest(directory / "vhost.sock") as guest:
        address = guest.memory.allocate(HEADER_BYTES)
        guest.memory.write(address, GuestStream(guest, 5000, 9).packet(PAYLOAD).encode())
        taken = 0
        while taken < RESETS_MAX:
            while guest.transmit.free_descriptors:
                guest.transmit.add([Piece(address, HEADER_BYTES)], writable=False)
            guest.transmit.notify()
            assert guest.transmit.wait()
            while guest.transmit.take_used() is not None:
                taken += 1
        kick(guest.transmit)
        for _ in range(3):  # turns of the device
            guest.front_end.guest_cid()
        assert device.statistics().packets_from_guest == taken == RESETS_MAX
        guest.post_buffers()
        for _ in range(taken + guest.transmit.size - guest.transmit.free_descriptors):
            guest.expect(RESET)


def test_a_descriptor_may_cross_from_one_region_into_the_next(device: VsockDevice, directory: Path) -> None:
    memory = GuestMemory((4 << 20, 1 << 20))
    with Guest(directory / "vhost.sock", memory=memory) as guest:
        guest.post_buffers()
        border = memory.regions[1].guest_address
        packet = GuestStream(guest, 5000, 9).packet(SHUTDOWN, payload=b"x" * 100).encode()
        memory.write(border - 20, packet[:20])
        memory.write(border, packet[20:])
        guest.transmit.add([Piece(border - 20, len(packet))], writable=False)
        guest.transmit.notify()
        assert guest.expect(RESET)[2:4] == (9, 5000)
        assert memory.canaries_are_whole()


def test_the_size_of_a_ring_is_no_limit_to_its_index(directory: Path, device: VsockDevice, guest: Guest) -> None:
    # 16 bits wrap around after 65,536 buffers.
    stream = GuestStream(guest, 5000, 9)
    for _ in range(70_000 // 128):
        for _ in range(128):
            address = guest.outbox
            guest.memory.write(address, stream.packet(RESET).encode())
            guest.transmit.add([Piece(address, HEADER_BYTES)], writable=False)
        guest.transmit.notify()
        left = 128
        while left:
            if guest.transmit.take_used() is None:
                assert guest.transmit.wait()
            else:
                left -= 1
    assert device.end is None
    (index,) = struct.unpack("<H", guest.memory.read(guest.transmit.used + 2, 2))
    assert index == guest.transmit.available_index
