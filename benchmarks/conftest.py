"""A runtime and its peers, side by side in one run: only the ratios of one run mean anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

import firkin
from firkin.domain.image import ImageBundle

from .bounds import BOUNDS, exceeded_bounds
from .peer import FLOOD_BYTES
from .percentiles import Measured, percentile_lines, throughput_lines

pytest_plugins = ["tests.images.fixtures"]

T = TypeVar("T")

FLOOD_GROUP = f"{FLOOD_BYTES >> 20} MiB of standard output, to its last byte"
GOAL_MEGABYTES_PER_SECOND = 500
"""What standard output through the agent should exceed, on a machine with nothing else to do."""


class Firkin:
    """A runtime on a loop of its own, driven by synchronous benchmarks."""

    def __init__(self, directory: Path, reference: str, store: str = "directory") -> None:
        self._runner = asyncio.Runner()
        config = firkin.RuntimeConfig(store=store, state_dir=directory / "state", runtime_dir=directory / "run")
        self._opened = firkin.open_runtime(config)
        self.runtime: firkin.Runtime = self.run(self._opened.__aenter__())
        self.bundle: ImageBundle = self.run(self.runtime.images.resolve(reference))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end."""
        return self._runner.run(work)

    def container(self, container_id: str, *command: str) -> firkin.PodContainerSpec:
        """A container of the busybox image with piped output."""
        spec = firkin.PodContainerSpec(container_id, firkin.RootfsSource.oci_bundle(self.bundle))
        return spec.command(*command).stdout(firkin.Stdio.PIPED)

    async def spawned(self, *containers: firkin.PodContainerSpec, pod_id: str = "bench") -> firkin.Pod:
        """A pod that the caller stops."""
        builder = firkin.PodBuilder(pod_id)
        for container in containers:
            builder = builder.container(container)
        return await self.runtime.spawn(builder.build())

    def close(self) -> None:
        """Stop everything."""
        self.run(self._opened.__aexit__(None, None, None))
        self._runner.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="few rounds; nothing is skipped, and `bounds.py` is judged")


@pytest.fixture(scope="session")
def short(pytestconfig: pytest.Config) -> bool:
    """Whether few rounds are wanted, which tell whether anything is badly wrong."""
    return bool(pytestconfig.getoption("--short"))


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Generator[Firkin, None, None]:
    """A runtime with a directory store whose template of busybox exists already."""
    opened = Firkin(tmp_path_factory.mktemp("firkin"), busybox_image)
    pod = opened.run(opened.spawned(opened.container("warm", "true")))
    opened.run(pod.stop())
    yield opened
    opened.close()


class Peer:
    """A program in a mount namespace where crun takes the machine for one with plain cgroups (see `peer.py`)."""

    def __init__(self, bundle: Path, *, skips: bool) -> None:
        """`skips` is whether a benchmark is skipped when the peer it needs does not work on this machine."""
        self.bundle = bundle
        self._skips = skips
        command = ["unshare", "--mount", "--", sys.executable, str(Path(__file__).with_name("peer.py")), str(bundle)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.settle()

    def ask(self, what: str) -> None:
        """Let the peer do something once, and wait for it."""
        answer = self._answer(what)
        if answer != "ok":
            pytest.fail(f"the peer could not {what}: {answer or 'it ended'}")

    def require(self, what: str) -> None:
        """Skip the benchmark (or fail it), with the reason, when the peer cannot do something on this machine."""
        answer = self._answer(what)
        self.settle()
        if answer != "ok":
            (pytest.skip if self._skips else pytest.fail)(f"unavailable on this machine: {what} {answer}")

    def _answer(self, what: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        return self._process.stdout.readline().strip()

    def settle(self) -> None:
        """Wait until nothing is left of the last request."""
        self.ask("settle")

    def close(self) -> None:
        """End the peer."""
        self._process.communicate()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, busybox_image: str, short: bool) -> Generator[Peer, None, None]:
    """crun, and podman where it works, on the rootfs that umoci unpacks from the same image."""
    bundle = tmp_path_factory.mktemp("peer") / "bundle"
    image = busybox_image.removeprefix("oci:")
    subprocess.run(["umoci", "unpack", "--image", image, str(bundle)], check=True, capture_output=True)
    started = Peer(bundle, skips=not short)
    yield started
    started.close()


def _measured(config: pytest.Config) -> list[Measured]:
    session = getattr(config, "_benchmarksession", None)
    measured: Sequence[Any] = [] if session is None else session.benchmarks
    return [(one.group, one.name, sorted(one.stats.data)) for one in measured if one.stats.data]


def _exceeded(config: pytest.Config) -> list[str]:
    return exceeded_bounds(BOUNDS, _measured(config)) if config.getoption("--short") else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A bound that is exceeded fails the run, as a failed test does."""
    if session.exitstatus == pytest.ExitCode.OK and _exceeded(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the median and the 95th percentile of each benchmark, as multiples of its group's peer too."""
    terminalreporter.write_sep("-", "p50 and p95, and how often the peer's")
    measured = _measured(config)
    throughput = throughput_lines(measured, FLOOD_GROUP, FLOOD_BYTES, GOAL_MEGABYTES_PER_SECOND)
    for line in [*percentile_lines(measured), *throughput]:
        terminalreporter.write_line(line)
    for line in _exceeded(config):
        terminalreporter.write_line(line, red=True)
