"""Streams between a scripted guest and the host's unix sockets."""

from __future__ import annotations

import random
import socket
import tempfile
from pathlib import Path

import pytest

from firkin._fast.vsock import VsockDevice

from .guest import Guest, GuestStream, accept, connect
from .host import accepted, host_connection, host_listener, read_to_end, reading, sending
from .packets import CREDIT_REQUEST, CREDIT_UPDATE, NO_MORE, RECEIVES_NO_MORE, REQUEST, RESET, SENDS_NO_MORE, SHUTDOWN


def test_the_config_tells_the_guest_its_cid(guest: Guest) -> None:
    assert guest.front_end.guest_cid() == 3


def test_a_host_program_reaches_a_listening_port_of_the_guest(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        host.sendall(b"hello guest")
        assert stream.read(11) == b"hello guest"
        stream.write(b"hello host")
        assert host.recv(100) == b"hello host"


def test_the_guest_reaches_a_listening_socket_of_the_host(directory: Path, guest: Guest) -> None:
    with host_listener(directory, 77) as listener:
        stream = connect(guest, 5000, 77)
        with accepted(listener) as host:
            stream.write(b"hello host")
            assert host.recv(100) == b"hello host"
            host.sendall(b"hello guest")
            assert stream.read(11) == b"hello guest"


def test_a_port_nobody_listens_on_is_refused(device: VsockDevice, guest: Guest) -> None:
    GuestStream(guest, 5000, 78).say(REQUEST)
    assert guest.expect(RESET).source_port == 78
    assert device.statistics().open_streams == 0


def test_a_host_program_that_ends_its_output_can_still_read(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        host.sendall(b"question")
        host.shutdown(socket.SHUT_WR)
        assert stream.read(100) == b"question"
        assert guest.expect(SHUTDOWN).flags == SENDS_NO_MORE
        stream.write(b"answer")
        stream.say(SHUTDOWN, NO_MORE)
        guest.expect(RESET)
        assert read_to_end(host) == b"answer"
    assert device.statistics().open_streams == 0


def test_a_guest_that_ends_its_output_can_still_read(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        stream.write(b"question")
        stream.say(SHUTDOWN, SENDS_NO_MORE)
        assert read_to_end(host) == b"question"
        host.sendall(b"answer")
        assert stream.read(6) == b"answer"


@pytest.mark.parametrize("size", [1, 3732, 100_000, 3_000_000])
def test_what_the_host_sends_arrives_whole(device: VsockDevice, directory: Path, guest: Guest, size: int) -> None:
    data = random.Random(size).randbytes(size)
    device.listen(1024)
    with host_connection(directory, 1024) as host, sending(host, data):
        assert accept(guest, 1024).read(size + 1) == data
        guest.expect(SHUTDOWN)


@pytest.mark.parametrize("size", [1, 3732, 100_000, 3_000_000])
def test_what_the_guest_sends_arrives_whole(directory: Path, guest: Guest, size: int) -> None:
    data = random.Random(size).randbytes(size)
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        with accepted(listener) as host:
            with reading(host) as arrived:
                stream.write(data)
                stream.say(SHUTDOWN, SENDS_NO_MORE)
            assert arrived == [data]


def test_a_file_that_is_handed_over_arrives_between_what_was_sent(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    data = random.Random(1).randbytes(1_000_000)
    device.listen(1024)
    with host_connection(directory, 1024) as host, tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(1000)
        stream = accept(guest, 1024)
        host.sendall(b"before")
        socket.send_fds(host, [b"\0"], [file.fileno()])
        host.sendall(b"after")
        host.shutdown(socket.SHUT_WR)
        assert stream.read(len(data) + 100) == b"before" + data[1000:] + b"after"


def test_only_a_regular_file_can_be_handed_over(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        accept(guest, 1024)
        socket.send_fds(host, [b"\0"], [host.fileno()])
        guest.expect(RESET)
        assert host.recv(1) == b""
    assert device.statistics().open_streams == 0


def test_a_file_that_is_empty_is_nothing(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host, tempfile.TemporaryFile() as file:
        stream = accept(guest, 1024)
        socket.send_fds(host, [b"\0"], [file.fileno()])
        host.sendall(b"after")
        assert stream.read(5) == b"after"


def test_the_guest_is_told_that_a_host_program_has_gone(device: VsockDevice, directory: Path, guest: Guest) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        host.sendall(b"goodbye")
    # That it reads no more may be told before what it sent, and that it sends no more only behind it.
    arrived = b""
    while (packet := guest.next_packet()).flags != NO_MORE:
        assert packet.flags in (0, RECEIVES_NO_MORE)
        arrived += packet.payload
    assert arrived == b"goodbye"
    stream.say(SHUTDOWN, NO_MORE)
    guest.expect(RESET)
    assert device.statistics().open_streams == 0


def test_what_the_guest_sends_to_a_host_program_that_has_gone_is_taken_and_dropped(
    directory: Path, guest: Guest
) -> None:
    with host_listener(directory, 9) as listener:
        stream = connect(guest, 5000, 9)
        accepted(listener).close()
        while guest.next_packet().flags != NO_MORE:
            pass
        for _ in range(8):
            stream.write(bytes(65536))
            stream.say(CREDIT_REQUEST)
            while (packet := guest.next_packet()).operation != CREDIT_UPDATE or packet.forwarded != stream.sent:
                pass
            stream.note(packet)


def test_a_host_program_cannot_send_to_a_guest_that_receives_no_more(
    device: VsockDevice, directory: Path, guest: Guest
) -> None:
    device.listen(1024)
    with host_connection(directory, 1024) as host:
        stream = accept(guest, 1024)
        stream.say(SHUTDOWN, RECEIVES_NO_MORE)
        stream.write(b"but it still sends")
        assert host.recv(100) == b"but it still sends"
        with pytest.raises(BrokenPipeError):
            host.sendall(b"x")
