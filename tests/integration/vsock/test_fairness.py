"""Many streams at once: each has its turn, and one that is blocked blocks nobody else."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections import Counter
from pathlib import Path

from firkin._fast.vsock import VsockDevice

from .guest import WINDOW_BYTES, Guest, GuestStream, accept, connect
from .host import accepted, hand_over_zeros, host_connection, host_listener, read_to_end
from .packets import CREDIT_REQUEST, CREDIT_UPDATE, NO_MORE, PAYLOAD, REQUEST, RESET, RESPONSE, SHUTDOWN
from .rings import DEADLINE_SECONDS

TURN_BYTES = 65536


def test_streams_with_much_to_send_get_equal_shares(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    size = 1 << 20
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            hand_over_zeros(stack.enter_context(host_connection(directory, 1024)), size)
        for request in [guest.expect(REQUEST) for _ in range(8)]:
            response = GuestStream(guest, 1024, request.source_port).packet(RESPONSE)
            guest.send(response._replace(buffer_size=1 << 30))
        shares: Counter[int] = Counter()
        # A new stream's turns begin small.
        while len(shares) < 8 or min(shares.values()) < 2 * TURN_BYTES:
            packet = guest.expect(PAYLOAD)
            shares[packet.source_port] += packet.size
        shares = Counter(dict.fromkeys(shares, 0))
        while max(shares.values()) < size // 4:
            packet = guest.expect(PAYLOAD)
            shares[packet.source_port] += packet.size
            assert max(shares.values()) - min(shares.values()) <= 2 * TURN_BYTES


def test_a_guest_program_that_does_not_read_blocks_nobody_else(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as stuck, host_connection(directory, 1024) as free:
        streams = [accept(guest, 1024), accept(guest, 1024)]
        hand_over_zeros(stuck, 2 * WINDOW_BYTES)
        received: Counter[int] = Counter()
        while guest.next_packet().operation != CREDIT_REQUEST:
            pass
        free.sendall(b"x" * 1000)
        while sum(received.values()) < 1000:
            packet = guest.next_packet()
            received[packet.source_port] += packet.size
        assert list(received) == [streams[1].host_port]


def test_credit_is_asked_for_once_and_data_follows_when_it_is_given(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    data = random.Random(2).randbytes(WINDOW_BYTES + 100)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        thread = threading.Thread(target=host.sendall, args=(data,))
        thread.start()
        arrived = b""
        while (packet := guest.next_packet()).operation == PAYLOAD:
            arrived += packet.payload
        assert packet.operation == CREDIT_REQUEST
        assert arrived == data[:WINDOW_BYTES]
        stream.say(CREDIT_UPDATE)  # no news
        for _ in range(3):  # turns of the device
            guest.front_end.guest_cid()
        guest.poll()
        assert not guest.packets
        stream.forwarded = WINDOW_BYTES
        stream.say(CREDIT_UPDATE)
        assert guest.expect(PAYLOAD).payload == data[WINDOW_BYTES:]
        thread.join()


def test_a_host_program_that_does_not_read_blocks_nobody_else(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    with host_listener(directory, 8) as slow_listener, host_listener(directory, 9) as listener:
        stuck, free = connect(guest, 5000, 8), connect(guest, 5001, 9)
        with accepted(slow_listener) as slow, accepted(listener) as host:
            data = random.Random(3).randbytes(8 << 20)
            at = 0
            while (room := stuck.host_window - (stuck.sent - stuck.host_forwarded)) > 0:
                piece = data[at : at + min(room, 50_000)]
                stuck.say(PAYLOAD, payload=piece)
                stuck.sent += len(piece)
                at += len(piece)
                # An answer to this stream's credit tells that the device has taken all there was.
                stuck.say(CREDIT_REQUEST)
                while guest.packets or stuck.sent != at:
                    guest.packets.popleft()
                stuck.note(guest.next_packet())
            assert device.statistics().bytes_held > 0
            free.write(b"x" * 100_000)
            free.say(SHUTDOWN, NO_MORE)
            assert read_to_end(host) == b"x" * 100_000
            # What was held comes in order, and is the whole of it, although the guest has gone.
            stuck.say(RESET)
            assert read_to_end(slow) == data[:at]
    assert device.statistics().open_streams == 0


def test_a_guest_that_has_ended_is_answered_once_the_host_has_read(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    with host_listener(directory, 8) as listener:
        stream = connect(guest, 5000, 8)
        with accepted(listener) as host:
            sent = 0
            while device.statistics().bytes_held == 0:
                stream.write(b"y" * 50_000)
                sent += 50_000
                guest.poll()
                while guest.packets:
                    stream.note(guest.packets.popleft())
            stream.say(SHUTDOWN, NO_MORE)
            for _ in range(3):  # turns of the device
                guest.front_end.guest_cid()
            guest.poll()
            assert RESET not in [packet.operation for packet in guest.packets]
            guest.packets.clear()
            assert read_to_end(host) == b"y" * sent
            guest.expect(RESET)


def test_more_connections_than_streams_wait_for_their_turn(directory: Path) -> None:
    with (
        VsockDevice(directory / "vhost.sock", 3, directory, stream_limit=2) as device,
        Guest(directory / "vhost.sock") as guest,
    ):
        guest.post_buffers()
        device.listen(1024)
        hosts = [host_connection(directory, 1024) for _ in range(5)]
        for index, host in enumerate(hosts):
            host.sendall(bytes([index]))
        seen: list[int] = []
        while len(seen) < len(hosts):
            packet = guest.next_packet()
            stream = GuestStream(guest, 1024, packet.source_port)
            if packet.operation == REQUEST:
                stream.say(RESPONSE)
            else:
                seen.append(packet.payload[0])
                stream.say(RESET)
        assert sorted(seen) == list(range(5))
        for host in hosts:
            assert host.recv(1) == b""
            host.close()


def test_a_connection_waits_for_a_listener_whose_queue_is_full(directory: Path, guest: Guest) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(DEADLINE_SECONDS)
        listener.bind(str(directory / "host-9.sock"))
        listener.listen(0)
        streams = [GuestStream(guest, 5000 + index, 9) for index in range(3)]
        for stream in streams:
            stream.say(REQUEST)
        hosts = [accepted(listener) for _ in streams]
        assert sorted(guest.expect(RESPONSE).destination_port for _ in streams) == [5000, 5001, 5002]
        for host in hosts:
            host.close()


def test_an_idle_device_does_not_wake(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        accept(guest, 1024)
        hand_over_zeros(host, 2 * WINDOW_BYTES)
        while guest.next_packet().operation != CREDIT_REQUEST:
            pass
        for _ in range(3):  # turns of the device
            guest.front_end.guest_cid()
        before = device.statistics().wakeups
        assert device.wait(0.2) is None
        assert device.statistics().wakeups == before
