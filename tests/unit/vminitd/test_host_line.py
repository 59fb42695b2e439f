"""The guest's end of the line to the host: what it takes for a greeting."""

from __future__ import annotations

import errno
import socket

import pytest

from firkin.vminitd.host_line import _Greeting, _greeting

pytestmark = pytest.mark.real_time

SOON = 60.0


def _greeted(*parts: bytes) -> _Greeting:
    host, guest = socket.socketpair()
    with host, guest:
        guest.settimeout(SOON)
        for part in parts:
            host.sendall(part)
        host.shutdown(socket.SHUT_WR)
        return _greeting(guest)


def test_a_greeting_may_come_in_pieces() -> None:
    assert _greeted(b'{"time_ns": 5', b'00, "limits": {"pids.max": "3"}}\n') == _Greeting(500, {"pids.max": "3"})
    assert _greeted(b'{"time_ns": 500}\n') == _Greeting(500)


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"hello\n", b'{"time_ns": 1', b'{"limits": {}}\n', b'{"time_ns": "now"}\n', b'{"time_ns": "\xff"}\n'],
    ids=["nothing", "empty", "no-json", "cut-off", "no-time", "no-number", "no-utf8"],
)
def test_what_is_no_greeting_is_told_as_that(said: bytes) -> None:
    with pytest.raises(OSError, match="its greeting cannot be understood") as refused:
        _greeted(said)
    assert refused.value.errno == errno.EPROTO


def test_a_greeting_without_an_end_is_read_no_further_than_a_greeting_can_be_long() -> None:
    host, guest = socket.socketpair()
    with host, guest:
        guest.settimeout(SOON)
        host.sendall(b" " * 10_000)
        with pytest.raises(OSError, match="cannot be understood"):
            _greeting(guest)
        assert len(guest.recv(10_000)) == 10_000 - 4096
