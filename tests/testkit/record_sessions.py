"""Records the golden sessions: `python -m tests.testkit.record_sessions [--check]`."""

from __future__ import annotations

import asyncio
import difflib
import sys
import tempfile
from pathlib import Path

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.testkit.busybox_image import busybox_bundle
from firkin.testkit.wire.recording import LEFT, RecordingConnector
from firkin.testkit.wire.transcript import Transcript

SESSIONS = Path(__file__).parent / "sessions"
ROADS = ("agent-v1", "sandbox-context")


async def recorded_session(road: str, directory: Path, script: str = "cat /work/greeting; exit 3") -> str:
    """A pod that is spawned, written to, waited for, exec'ed in, and stopped, as text."""
    transcript = Transcript()
    connector = GrpcAgentConnector(prefer_agent_v1=road == "agent-v1")
    config = firkin.RuntimeConfig(
        store="directory",
        agents=RecordingConnector(connector, transcript),
        state_dir=directory / "state",
        runtime_dir=directory / "run",
    )
    bundle = busybox_bundle(directory)

    def container(container_id: str, *command: str) -> firkin.PodContainerSpec:
        spec = firkin.PodContainerSpec(container_id, firkin.RootfsSource.oci_bundle(bundle))
        return spec.command(*command).stdout(firkin.Stdio.PIPED).stop_grace(0).empty_dir_mount("work", "/work")

    spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("work"))
    async with firkin.open_runtime(config) as runtime:
        pod = await runtime.spawn(spec.container(container("sleeper", "sleep", "3600")).build())
        await pod.write_empty_dir_file("work", "greeting", b"hello\n")
        await pod.add_container(container("worker", "sh", "-c", script))
        await pod.wait_container("worker")
        await pod.remove_container("worker")
        async with await pod.container("sleeper").exec("echo", "from the exec") as process:
            await process.wait_with_output()
        await pod.store_usage()
        await pod.stop(0)
    return transcript.text().replace(str(directory), "/host")


def skeleton(text: str) -> list[str]:
    """Which calls there are, in which order, and how they end: what each of them carries may grow."""
    # Whether a stream ends before its host leaves it is nobody's decision.
    lines = text.replace(f"== {LEFT}", "== OK").splitlines()
    return [line for line in lines if line.startswith(("firkin.", "com.", "  ==", "#"))]


async def _recorded() -> dict[str, str]:
    sessions = {}
    for road in ROADS:
        with tempfile.TemporaryDirectory() as directory:
            sessions[road] = await recorded_session(road, Path(directory))
    return sessions


def main(is_check: bool) -> int:
    """Write the sessions, or tell how they differ from what is said now."""
    differs = 0
    for road, text in asyncio.run(_recorded()).items():
        path = SESSIONS / f"{road}.txt"
        if is_check:
            for line in difflib.unified_diff(skeleton(path.read_text()), skeleton(text), path.name, "now", lineterm=""):
                print(line)
                differs = 1
        else:
            path.write_text(text)
    return differs


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] == ["--check"]))
