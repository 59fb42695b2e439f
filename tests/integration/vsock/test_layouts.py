"""Whatever the guest's buffers look like, what arrives is what was sent."""

from __future__ import annotations

import random
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firkin._fast.vsock import VsockDevice

from .guest import Guest, accept, connect, paired_buffers, single_buffers
from .host import accepted, host_connection, host_listener, reading, sending
from .packets import GUEST_CID, HEADER_BYTES, SENDS_NO_MORE, SHUTDOWN


def random_buffers(seed: int) -> list[int]:
    """The sizes of a buffer's descriptors, of which some hold nothing."""
    chance = random.Random(seed)
    sizes = [chance.choice((0, 1, 20, 43, 44, 45, 1000)) for _ in range(chance.randrange(1, 7))]
    return [*sizes, max(0, HEADER_BYTES + 1 - sum(sizes))]


@pytest.mark.parametrize(
    "layout",
    [single_buffers, paired_buffers, lambda: [8192], lambda: [45], lambda: [1] * 50, lambda: [40, 4, 0, 100]],
    ids=["single", "pairs", "larger", "smallest", "byte by byte", "header in two"],
)
def test_receive_buffers_may_have_any_layout(device: VsockDevice, directory: Path, layout: object) -> None:
    assert callable(layout)
    data = random.Random(4).randbytes(5_000)
    device.listen(1024)
    with Guest(directory / "vhost.sock", layout=layout) as guest:
        guest.post_buffers()
        with host_connection(directory, 1024) as host, sending(host, data):
            assert accept(guest, 1024).read(len(data) + 1) == data
        assert guest.memory.canaries_are_whole()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1 << 32), sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=8))
def test_random_receive_buffers_lose_nothing(seed: int, sizes: list[int]) -> None:
    chance = random.Random(seed)
    pieces = [chance.randbytes(size) for size in sizes]
    with (
        tempfile.TemporaryDirectory(prefix="firkin-vsock-") as name,
        VsockDevice(f"{name}/vhost.sock", GUEST_CID, name) as device,
        Guest(Path(name, "vhost.sock"), layout=lambda: random_buffers(chance.getrandbits(32))) as guest,
    ):
        device.listen(1024)
        guest.post_buffers()
        with host_connection(Path(name), 1024) as host, tempfile.TemporaryFile() as file:
            stream = accept(guest, 1024)
            file.write(pieces[0])
            file.seek(0)
            socket.send_fds(host, [b"\0"], [file.fileno()])
            with sending(host, b"".join(pieces[1:])):
                assert stream.read(sum(sizes) + 1) == b"".join(pieces)
            assert guest.expect(SHUTDOWN).flags == SENDS_NO_MORE
        assert guest.memory.canaries_are_whole()
        assert device.end is None


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    packets=st.lists(st.tuples(st.integers(0, 65536), st.lists(st.integers(1, 65579), max_size=6)), max_size=8),
)
def test_packets_may_be_cut_anywhere(seed: int, packets: list[tuple[int, list[int]]]) -> None:
    chance = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="firkin-vsock-") as name,
        VsockDevice(f"{name}/vhost.sock", GUEST_CID, name, window_bytes=1 << 20) as device,
        Guest(Path(name, "vhost.sock")) as guest,
        host_listener(Path(name), 9) as listener,
    ):
        guest.post_buffers()
        stream = connect(guest, 5000, 9)
        sent = b""
        with accepted(listener) as host, reading(host) as arrived:
            for size, cuts in packets:
                data = chance.randbytes(size)
                stream.write_cut(data, tuple(sorted(set(cuts))))
                sent += data
            stream.say(SHUTDOWN, SENDS_NO_MORE)
        assert arrived == [sent]
        assert device.end is None
