"""`firkin run -it`, on a real terminal."""

from __future__ import annotations

import signal
import subprocess

import pytest

from .command import Command
from .terminal import on_terminal

CTRL_C, CTRL_D, CTRL_P, CTRL_Q = b"\x03", b"\x04", b"\x10", b"\x11"


def test_a_shell_is_used_as_at_home_and_the_terminal_is_restored(firkin: Command, busybox_image: str) -> None:
    with on_terminal(firkin, "run", "-it", busybox_image, "sh") as terminal:
        before = terminal.modes()
        terminal.until(b"# ")
        assert terminal.modes() != before
        terminal.type(b"stty size; test -t 0 && test -t 1 && test -t 2 && echo $TERM\r")
        terminal.until(b"25 90\r\nxterm\r\n")
        for columns, rows in ((100, 30), (101, 31), (120, 40)):
            terminal.resize(columns, rows)
        terminal.type(b"until stty size | grep '40 120'; do sleep 0.05; done\r")
        terminal.until(b"\r\n40 120\r\n")
        terminal.type(b"sh -c \"trap 'echo interrupted; exit' INT; echo running; while :; do sleep 0.02; done\"\r")
        terminal.until(b"\r\nrunning\r\n")
        terminal.type(CTRL_C)
        terminal.until(b"^Cinterrupted\r\n")
        terminal.until(b"# ")
        terminal.type(b"(exit 3)\r")
        # At the prompt only is the key one that is read; while a command runs the kernel takes it for the end of input.
        terminal.until(b"# ")
        terminal.type(CTRL_D)
        code, _ = terminal.ended()
        assert code == 3
        assert terminal.modes() == before


def test_the_detach_keys_stop_the_command(firkin: Command, busybox_image: str) -> None:
    script = "trap 'echo stopping; exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    with on_terminal(firkin, "run", "-ti", busybox_image, "sh", "-c", script) as terminal:
        before = terminal.modes()
        terminal.until(b"ready\r\n")
        terminal.type(CTRL_P)
        terminal.type(CTRL_Q)
        code, shown = terminal.ended()
        assert (code, shown) == (9, b"stopping\r\nfirkin: detached, and the command was stopped\r\n")
        assert terminal.modes() == before


def test_other_keys_may_detach(firkin: Command, busybox_image: str) -> None:
    arguments = ("run", "-t", "--detach-keys", "x,ctrl-]", "--grace", "0", busybox_image, "sh", "-c", "echo ready; cat")
    with on_terminal(firkin, *arguments) as terminal:
        terminal.until(b"ready\r\n")
        terminal.type(CTRL_P + b"xx\r")
        terminal.until(b"^Pxx\r\n\x10xx\r\n")
        terminal.type(b"x\x1d")
        assert terminal.ended()[0] == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_command_and_restores_the_terminal(
    firkin: Command, busybox_image: str, number: signal.Signals
) -> None:
    # What is typed arrives once the command waits for the container's end: from then on a signal stops it in order.
    script = "trap 'exit 4' TERM; read typed; echo ready; while :; do sleep 0.02; done"
    with on_terminal(firkin, "run", "-t", busybox_image, "sh", "-c", script) as terminal:
        before = terminal.modes()
        terminal.type(b"typed\r")
        terminal.until(b"ready\r\n")
        terminal.process.send_signal(number)
        assert terminal.ended()[0] == 4
        assert terminal.modes() == before


def test_every_byte_of_a_megabyte_is_shown(firkin: Command, busybox_image: str) -> None:
    script = "stty -opost; printf begin; head -c 1000000 /dev/zero; printf end"
    with on_terminal(firkin, "run", "-t", busybox_image, "sh", "-c", script) as terminal:
        code, shown = terminal.ended()
        assert (code, shown == b"begin" + bytes(1_000_000) + b"end") == (0, True)


def test_a_start_that_fails_leaves_the_terminal_as_it_was(firkin: Command, busybox_image: str) -> None:
    with on_terminal(firkin, "run", "-it", busybox_image, "nonsense") as terminal:
        before = terminal.modes()
        code, shown = terminal.ended()
        assert (code, b"'nonsense' was not found" in shown) == (127, True)
        assert terminal.modes() == before


def test_without_a_terminal_on_standard_input_there_is_none_to_join(firkin: Command, busybox_image: str) -> None:
    with firkin.started("run", "-it", busybox_image, "sh", stdin=subprocess.DEVNULL) as process:
        _, stderr = process.communicate()
    assert process.returncode == 125
    assert stderr == b"firkin: error: the input device is not a TTY: -t needs a terminal on standard input\n"


def test_keys_that_cannot_be_are_refused(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "--detach-keys", "ctrl-p,ctrl-1", busybox_image)
    assert (done.code, "'ctrl-1' is not a key" in done.stderr) == (125, True)
