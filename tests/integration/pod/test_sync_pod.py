"""A pod for real, from a program without an event loop: namespaces, crun, gRPC, and no loop in the main thread."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import firkin
from firkin.domain.lifecycle import PodPhase
from firkin.errors import CommandNotFound
from firkin.sync import Pod, open_runtime
from tests.machine_state import MachineState, settled_state

from .pods import dialler, shell

pytestmark = pytest.mark.real_time


def config(directory: Path) -> firkin.RuntimeConfig:
    """Everything below `directory`."""
    return firkin.RuntimeConfig(
        store="directory", state_dir=directory / "state", runtime_dir=directory / "run", agents=dialler()
    )


def test_threads_share_a_pod_and_leave_nothing(tmp_path: Path, busybox_image: str) -> None:
    before = asyncio.run(settled_state())
    with open_runtime(config(tmp_path)) as runtime:
        bundle = runtime.images.resolve(busybox_image)
        spec = (
            firkin.PodBuilder("pod-1")
            .empty_dir(firkin.EmptyDirVolume.disk("work"))
            .container(
                shell("a", bundle, "until [ -e /work/go ]; do sleep 0.05; done").empty_dir_mount("work", "/work")
            )
            .build()
        )
        with runtime.spawn(spec) as pod, ThreadPoolExecutor(4) as threads:
            waiting = threads.submit(pod.wait_container, "a")
            said = list(threads.map(lambda number: _said(pod, number), range(8)))
            assert said == [f"thread {number}\n".encode() for number in range(8)]
            with pytest.raises(CommandNotFound):
                pod.container("a").exec("/nothing")
            added = pod.add_container(shell("b", bundle, "echo one; echo two"))
            assert added.stdout is not None
            assert b"".join(added.stdout) == b"one\ntwo\n"
            pod.remove_container("b")
            pod.write_empty_dir_file("work", "go", b"")
            assert waiting.result().status.success
    assert pod.state is PodPhase.STOPPED
    assert MachineState.now().beyond(before) == {}


def _said(pod: Pod, number: int) -> bytes:
    process = pod.container("a").exec("cat", stdin=firkin.Stdio.PIPED)
    assert process.stdin is not None
    process.stdin.write(f"thread {number}\n".encode())
    process.stdin.aclose()
    return process.wait_with_output().stdout


def test_control_c_ends_the_pod_and_leaves_nothing(tmp_path: Path, busybox_image: str) -> None:
    before = asyncio.run(settled_state())

    def program() -> None:
        with open_runtime(config(tmp_path)) as runtime:
            bundle = runtime.images.resolve(busybox_image)
            script = "trap '' TERM; echo ready; while :; do sleep 1; done"
            with runtime.spawn(firkin.PodBuilder("pod-1").container(shell("a", bundle, script)).build()) as pod:
                stdout = pod.container("a").stdout
                assert stdout is not None
                assert stdout.read_line() == b"ready\n"
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
                pod.container("a").wait()

    with pytest.raises(KeyboardInterrupt):
        program()
    assert MachineState.now().beyond(before) == {}
