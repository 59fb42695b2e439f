"""Pods that go on by themselves, on real terminals: exec, attach, and terminals that are closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from .command import Command, Started, finished
from .terminal import on_terminal

CTRL_C, CTRL_D, CTRL_P, CTRL_Q = b"\x03", b"\x04", b"\x10", b"\x11"
WAITING = "while :; do sleep 0.05; done"


def test_a_shell_beside_the_pods_own_is_used_as_at_home(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", "-d", "--name", "web", busybox_image, "sh", "-c", WAITING).code == 0
    with on_terminal(firkin, "exec", "-it", "web", "sh") as terminal:
        before = terminal.modes()
        terminal.until(b"# ")
        terminal.type(b"stty size\r")
        terminal.until(b"25 90\r\n")
        terminal.resize(120, 40)
        terminal.type(b"until stty size | grep '40 120'; do sleep 0.05; done\r")
        terminal.until(b"\r\n40 120\r\n")
        terminal.until(b"# ")
        terminal.type(b"(exit 3)\r")
        # At the prompt only is the key one that is read; while a command runs the kernel takes it for the end of input.
        terminal.until(b"# ")
        terminal.type(CTRL_D)
        assert terminal.ended()[0] == 3
        assert terminal.modes() == before
    assert firkin.run("rm", "-f", "web").code == 0


def test_who_leaves_by_the_detach_keys_finds_the_shell_again(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", "-dit", "--name", "shell", busybox_image, "sh").code == 0
    with on_terminal(firkin, "attach", "shell") as terminal:
        terminal.type(b"echo $((6 * 7))\r")
        terminal.until(b"\r\n42\r\n")
        terminal.type(CTRL_P + CTRL_Q)
        code, shown = terminal.ended()
        assert (code, b"detached; pod shell runs on" in shown) == (0, True)
    with on_terminal(firkin, "attach", "shell") as terminal:
        terminal.type(b"\r")
        terminal.until(b"# ")
        terminal.type(b"exit 5\r")
        assert terminal.ended()[0] == 5
    assert firkin.run("wait", "shell").stdout == b"5\n"
    assert b"42\r\n" in firkin.run("logs", "shell").stdout
    assert firkin.run("rm", "shell").code == 0


def test_attaching_without_a_terminal_passes_input_on_and_a_signal_only_detaches(
    firkin: Command, busybox_image: str
) -> None:
    assert firkin.run("run", "-di", "--name", "cat", busybox_image, "cat").code == 0
    with firkin.started("attach", "cat", stdin=subprocess.PIPE) as attached:
        assert attached.stdin is not None
        assert attached.stdout is not None
        attached.stdin.write(b"hello\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == b"hello\n"
        attached.send_signal(signal.SIGTERM)
        assert attached.wait() == 128 + signal.SIGTERM
    assert firkin.run("attach", "cat", stdin=b"again\n").stdout == b"again\n"
    assert firkin.run("wait", "cat").stdout == b"0\n"
    assert firkin.run("rm", "cat").code == 0


def test_a_pod_survives_the_terminal_that_started_it(firkin: Command, busybox_image: str) -> None:
    """The terminal is closed under a whole session, as when a connection breaks: the kernel hangs it up."""
    master, slave = os.openpty()
    script = f"{sys.executable} -m firkin run -d --name kept {busybox_image} sh -c '{WAITING}'; read x"
    with Started(
        ["setsid", "--ctty", "sh", "-c", script], env=firkin.environment(), stdin=slave, stdout=slave, stderr=slave
    ) as session:
        os.close(slave)
        shown = b""
        while b"kept\r\n" not in shown:
            shown += os.read(master, 65536)
        os.close(master)
        session.wait()
    assert firkin.run("exec", "kept", "true").code == 0
    assert firkin.registry.record("kept").phase == "running"
    assert firkin.run("rm", "-f", "kept").code == 0


def test_a_pod_comes_up_though_its_terminal_is_closed_while_it_starts(firkin: Command, busybox_image: str) -> None:
    master, slave = os.openpty()
    arguments = ["run", "-d", "--name", "kept", busybox_image, "sh", "-c", WAITING]
    with Started(
        ["setsid", "--ctty", sys.executable, "-m", "firkin", *arguments],
        env=firkin.environment(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as command:
        os.close(slave)
        firkin.until(lambda: bool(firkin.registry.records()))
        os.close(master)
        command.wait()
    firkin.until(lambda: firkin.registry.record("kept").phase == "running")
    assert firkin.run("exec", "kept", "true").code == 0
    assert firkin.run("rm", "-f", "kept").code == 0


def test_ctrl_c_while_a_pod_starts_leaves_nothing_of_it(firkin: Command, busybox_image: str) -> None:
    with firkin.started("run", "-d", "--name", "never", busybox_image, "sh", "-c", WAITING) as command:
        firkin.until(lambda: bool(firkin.registry.records()))
        command.send_signal(signal.SIGINT)
        done = finished(command)
    if done.code == 0:  # it ran a moment before the signal came
        assert firkin.run("rm", "-f", "never").code == 0
    else:
        assert (done.code, done.stdout) == (130, b"")
        firkin.until(lambda: not firkin.registry.records())
