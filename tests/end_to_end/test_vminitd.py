from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc
import pytest

from firkin.wire import agent_pb2, agent_pb2_grpc

from .command import Command


def test_the_agent_answers_by_itself_and_ends_with_sigterm(firkin: Command) -> None:
    with tempfile.TemporaryDirectory(prefix="firkin-agent-") as directory:
        socket = Path(directory, "guest-1024.sock")
        with firkin.started("vminitd", "--listen", f"unix:{socket}", "--host-dir", directory) as process:
            with grpc.insecure_channel(f"unix:{socket}") as channel:
                agent = agent_pb2_grpc.AgentStub(channel)
                info = agent.GetInfo(agent_pb2.GetInfoRequest(), wait_for_ready=True, timeout=30)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
    assert info.version
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--host-dir", "/tmp"), "Missing option '--listen'"),
        (("--listen", "tcp:1", "--host-dir", "/tmp"), "give unix: and an absolute path"),
    ],
)
def test_a_mistake_in_its_arguments_is_told(firkin: Command, arguments: tuple[str, ...], told: str) -> None:
    done = firkin.run("vminitd", *arguments)
    assert done.code == 2
    assert told in done.stderr


def test_help_of_every_command_has_an_example(firkin: Command) -> None:
    for command in ("run", "pod run", "doctor", "layer apply", "vminitd"):
        done = firkin.run(*command.split(), "--help")
        assert done.code == 0
        assert f"\n    firkin {command} ".encode() in done.stdout or f"\n    firkin {command}\n".encode() in done.stdout


def test_help_and_version_do_not_load_grpc(firkin: Command) -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "firkin", "--help"],
        env=firkin.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "grpc" not in loaded.stderr
    assert "rich" not in loaded.stderr
