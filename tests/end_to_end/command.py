"""The command `firkin` as its users have it: a process of its own, on directories of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from firkin.adapters.pod_registry_files import FilePodRegistry
from firkin.user_namespace import id_map_of_user
from tests.machine_state import backing_files

_DEADLINE_SECONDS = 120
_GRACE_SECONDS = 10
_LOOKS = 200
_LOOK_SECONDS = 0.05
_POLL_SECONDS = 0.002


class Finished(NamedTuple):
    """What a command came to."""

    code: int
    stdout: bytes
    stderr: str

    def error(self) -> str:
        """Its one sentence of error; fails when there is more or less on standard error."""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, self.stderr
        assert lines[0].startswith("firkin: error: "), self.stderr
        assert "Traceback" not in self.stderr
        return lines[0].removeprefix("firkin: error: ")


class Started(subprocess.Popen[bytes]):
    """A command that does not outlive the block that it was started for, whatever fails in there."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.end()
        try:
            super().__exit__(kind, value, traceback)
        finally:
            self.kill()

    def end(self) -> None:
        """Ask it to end, and kill it when it does not: a shell that it passes the signal on to may ignore it."""
        self.terminate()
        try:
            self.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


class Command:
    """Runs `firkin` with state and sockets below a directory."""

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        self.runtime_dir = directory / "run"

    @property
    def registry(self) -> FilePodRegistry:
        """Its long-lived pods."""
        return FilePodRegistry(self.state_dir)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that nobody tells."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not come to that"
            threading.Event().wait(_POLL_SECONDS)

    def until_gone(self, left: Callable[[], list[str]]) -> None:
        """Wait until nothing is left; tells what is when it stays."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while found := left():
            assert time.monotonic() < deadline, found
            threading.Event().wait(_POLL_SECONDS)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """This process's environment, with the directories."""
        directories = {"FIRKIN_STATE_DIR": str(self.state_dir), "FIRKIN_RUNTIME_DIR": str(self.runtime_dir)}
        return {**os.environ, "COLUMNS": "120", **directories, **(extra or {})}

    def started(
        self, *arguments: str, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> Started:
        """Start it, with its output piped."""
        return Started(
            [sys.executable, "-m", "firkin", *arguments],
            env=self.environment(env),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Finished:
        """Run it to its end."""
        with self.started(*arguments, env=env, stdin=subprocess.PIPE) as process:
            return finished(process, stdin)

    def remove_all_pods(self) -> None:
        """Remove the long-lived pods that there still are."""
        for record in self.registry.records():
            self.run("rm", "-f", record.id)

    def leftovers(self) -> list[str]:
        """What pods left of mounts, loop devices, processes and files; templates and locks are meant to stay."""
        top = str(self.state_dir.parent)
        found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if top in line]
        found += [path for path in backing_files().values() if top in path]
        found += [command for command in _process_commands() if top in command]
        found += [f"supervisor of {record.id}" for record in self.registry.records() if not record.phase.is_over]
        return found + self._files()

    def _files(self) -> list[str]:
        found = [path for path in self.runtime_dir.rglob("*") if path.is_socket() or path.is_dir()]
        found += [path for name in ("pods", "templates/.staging-*") for path in self.state_dir.glob(f"store/{name}/*")]
        found += self.state_dir.glob("pod-stores/*")
        found += self.state_dir.glob("pods/*")
        return [str(path) for path in found if not path.name.startswith(".")]


def _process_commands() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def has_other_ids() -> bool:
    """Whether containers can have users beside root; an ordinary user without subordinate ids has root alone."""
    return os.geteuid() == 0 or not id_map_of_user(os.environ["PATH"]).is_single


def idle_cgroups() -> set[str]:
    """Control groups of sandboxes in which no process is: those of a pod that runs elsewhere do not count."""
    # os.walk, unlike a glob, goes on when a directory is gone by the time it comes to it.
    groups = (Path(path) for path, _, _ in os.walk("/sys/fs/cgroup"))
    return {str(group) for group in groups if group.name.startswith("firkin-") and _is_idle(group)}


def lasting_cgroups(before: set[str]) -> set[str]:
    """What stays idle beyond `before`: a pod that starts or ends elsewhere is idle for a moment only."""
    left = idle_cgroups() - before
    for _ in range(_LOOKS):
        if not left:
            break
        threading.Event().wait(_LOOK_SECONDS)
        left &= idle_cgroups()
    return left


def _is_idle(group: Path) -> bool:
    try:
        return not any(procs.read_text() for procs in group.glob("**/cgroup.procs"))
    except OSError:
        return False


def told_to_run(process: subprocess.Popen[bytes]) -> None:
    """Wait until `run -v` tells that its container runs: from then on, and no sooner, a signal stops it in order."""
    assert process.stderr is not None
    while b"container runs as process" not in (line := process.stderr.readline()):
        assert line, "it ended without having told"


def finished(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Finished:
    """Wait for the end, and end what takes too long."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate()
        raise AssertionError(f"still running after {_DEADLINE_SECONDS} s: {stderr.decode()}") from None
    return Finished(process.returncode, stdout, stderr.decode())
