from __future__ import annotations

import signal

import pytest

from firkin.domain.linux_signals import signal_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15),
        ("TERM", 15),
        ("sigterm", 15),
        (" SIGQUIT ", 3),
        ("15", 15),
        ("1", 1),
        ("64", 64),
        ("SIGRTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("SIGRTMAX", 64),
        ("SIGIOT", 6),
        ("SIGPOLL", 29),
    ],
)
def test_a_signal_is_read(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "65", "-1", "SIG", "SIGFOO", "SIGRTMIN+31", "SIGRTMAX-31", "SIGRTMIN-1", "9" * 30, "SIGSIGTERM"]
)
def test_what_is_no_signal_is_none(text: str) -> None:
    assert signal_number(text) is None


@pytest.mark.parametrize("known", list(signal.Signals))
def test_the_names_agree_with_this_kernel(known: signal.Signals) -> None:
    assert signal_number(known.name) == known.value
