"""Pods that go on by themselves, on real terminals: exec, attach, and terminals that are closed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .command import Command, Started, finished
from .terminal import on_terminal

CTRL_C, CTRL_D, CTRL_P, CTRL_Q = b"\x03", b"\x04", b"\x10", b"\x11"
WAITING = "while :; do sleep 0.05; done"
_MANIFEST = """apiVersion: v1
kind: Pod
metadata: {{name: kept}}
spec:
  containers:
  - name: main
    image: "{image}"
    command: [sh, -c, "{script}"]
"""


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


def test_a_process_beside_it_runs_on_when_it_is_left_by_the_detach_keys(firkin: Command, busybox_image: str) -> None:
    assert firkin.run("run", "-d", "--name", "web", busybox_image, "sh", "-c", WAITING).code == 0
    # Far more than anything between it and its reader holds.
    script = "echo ready; until test -e /tmp/go; do sleep 0.02; done; head -c 9000000 /dev/zero; touch /tmp/written"
    for keys, options in ((CTRL_P + CTRL_Q, ()), (b"x", ("--detach-keys", "x"))):
        with on_terminal(firkin, "exec", "-it", *options, "web", "sh", "-c", script) as terminal:
            before = terminal.modes()
            terminal.until(b"ready\r\n")
            terminal.type(keys)
            code, shown = terminal.ended()
            assert (code, shown) == (0, b"firkin: detached; the process in pod web runs on\r\n")
            assert terminal.modes() == before
        assert firkin.run("exec", "web", "test", "-e", "/tmp/written").code == 1
        assert firkin.run("exec", "web", "touch", "/tmp/go").code == 0
        waiting = "until test -e /tmp/written; do sleep 0.05; done; rm /tmp/go /tmp/written"
        assert firkin.run("exec", "web", "sh", "-c", waiting).code == 0
    assert firkin.run("rm", "-f", "web").code == 0


def test_all_who_are_attached_see_the_same_and_one_who_leaves_takes_nobody_along(
    firkin: Command, busybox_image: str
) -> None:
    assert firkin.run("run", "-di", "--name", "cat", busybox_image, "cat").code == 0
    with (
        firkin.started("attach", "cat", stdin=subprocess.PIPE) as writer,
        firkin.started("attach", "--no-stdin", "cat") as reader,
    ):
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert reader.stdout is not None
        # Output counts from when one is attached, which nobody tells: so it is written until the reader sees it.
        seen, count = b"", 0
        while not select.select([reader.stdout], [], [], 0.1)[0]:
            writer.stdin.write(b"%d\n" % count)
            writer.stdin.flush()
            count += 1
            assert count < 600
            seen = writer.stdout.readline()
        assert seen == b"%d\n" % (count - 1)
        first = int(reader.stdout.readline())
        assert [int(reader.stdout.readline()) for _ in range(first + 1, count)] == list(range(first + 1, count))
        reader.send_signal(signal.SIGINT)
        assert reader.wait() == 128 + signal.SIGINT
        writer.stdin.write(b"further\n")
        writer.stdin.close()
        assert writer.stdout.read() == b"further\n"
        assert writer.wait() == 0
    # The container has ended, and its pod ends a moment later.
    assert firkin.run("wait", "cat").stdout == b"0\n"
    assert firkin.run("rm", "cat").code == 0


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


@pytest.mark.parametrize("is_manifest", [False, True])
def test_a_pod_survives_the_terminal_that_started_it(
    firkin: Command, busybox_image: str, tmp_path: Path, is_manifest: bool
) -> None:
    """The terminal is closed under a whole session, as when a connection breaks: the kernel hangs it up."""
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(_MANIFEST.format(image=busybox_image, script=WAITING))
    arguments = f"pod run -d {manifest}" if is_manifest else f"run -d --name kept {busybox_image} sh -c '{WAITING}'"
    master, slave = os.openpty()
    script = f"{sys.executable} -m firkin {arguments}; read x"
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
    if done.stdout:  # it ran a moment before the signal came
        assert firkin.run("rm", "-f", "never").code == 0
    else:
        assert done.code == 130
        firkin.until(lambda: not firkin.registry.records())
