"""Real pods for the tests: a runtime over the namespace sandbox, and specs of busybox containers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.domain.image import ImageBundle
from firkin.ports.agent_connector import AgentConnector

HANG_SECONDS = 300.0
"""What only ends a test that hangs: in a machine without KVM, beside other work, a pod takes minutes."""
SERVICE_VARIABLE = "FIRKIN_TEST_AGENT_SERVICE"
"""`SandboxContext` has the pods of tests made over that service alone."""


def speaks_agent_v1() -> bool:
    """Whether the pods of tests are made over firkin.agent.v1."""
    return os.environ.get(SERVICE_VARIABLE) != "SandboxContext"


def dialler() -> AgentConnector:
    """Who dials the agents of a test's pods."""
    return GrpcAgentConnector(prefer_agent_v1=speaks_agent_v1())


@contextlib.asynccontextmanager
async def real_runtime(directory: Path, store: str = "directory") -> AsyncIterator[firkin.Runtime]:
    """A runtime whose files all lie below `directory`."""
    config = firkin.RuntimeConfig(
        store=store, state_dir=directory / "state", runtime_dir=directory / "run", agents=dialler()
    )
    async with firkin.open_runtime(config) as runtime:
        yield runtime


def kill_agent(pod: firkin.Pod) -> None:
    """Kill the agent that serves a pod: the PID 1 of its sandbox, as the host numbers it."""
    directory = bytes(pod.vm.socket_directory)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if b"firkin.vminitd" in command and directory in command and b"--kill-child" not in command:
                os.kill(int(path.parent.name), signal.SIGKILL)


def limited_where_possible(name: str, size_limit: int) -> firkin.EmptyDirVolume:
    """A limited emptyDir on disk for root; an ordinary user can have it without limit only."""
    return firkin.EmptyDirVolume.disk(name, size_limit if os.geteuid() == 0 else None)


def shell(container_id: str, bundle: ImageBundle, script: str) -> firkin.PodContainerSpec:
    """A container that runs a script of busybox's shell, with piped output."""
    spec = firkin.PodContainerSpec(container_id, firkin.RootfsSource.oci_bundle(bundle))
    return spec.command("sh", "-c", script).stdout(firkin.Stdio.PIPED).stderr(firkin.Stdio.PIPED)
