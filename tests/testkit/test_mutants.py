"""The kit notices bugs: each of those in `mutants.py`, put into a copy of the adapters in memory, breaks a promise."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import firkin.adapters.memory
from firkin.testkit.contract import CONTRACTS

from .kit_run import KitRun, run_kit
from .mutants import MUTANTS, Mutant

_TESTS = """
import pytest
from mutated import *
from mutated.pipes import MemoryPipe, PipeSink, PipeSource
from firkin.domain.image import ImageConfig
from firkin.testkit.agent_place import AgentPlace

pytestmark = pytest.mark.virtual_time


class Source:
    def __init__(self):
        self.source = MemoryImageSource()

    def add(self, name, config, layers, platform):
        return self.source.add(name, config, layers, platform).reference

    def absent(self):
        return "memory:absent"


class Streams:
    def opened(self):
        pipe = MemoryPipe()
        return PipeSink(pipe), PipeSource(pipe)


def agent(directory):
    async def image():
        return MemoryImageSource().add("busybox")

    world = MemoryWorld()
    return AgentPlace(MemoryAgentConnector(world), MemoryVmm(world), directory / "store", image)


MADE = {
    "firkin_vmm": MemoryVmm,
    "firkin_pod_store": MemoryPodStore,
    "firkin_agent": agent,
    "firkin_image_source": Source,
    "firkin_image_library": MemoryImageLibrary,
    "firkin_log_keeper": MemoryLogKeeper,
    "firkin_pod_registry": MemoryPodRegistry,
    "firkin_streams": Streams,
}
"""


def _run(directory: Path, fixtures: tuple[str, ...], mutant: Mutant | None = None) -> KitRun:
    project = directory / "project"
    memory = Path(firkin.adapters.memory.__file__).parent
    shutil.copytree(memory, project / "mutated", ignore=shutil.ignore_patterns("__pycache__"))
    if mutant is not None:
        path = project / "mutated" / f"{mutant.module}.py"
        source = path.read_text()
        assert mutant.right in source, f"{path.name} has no {mutant.right!r} any more"
        path.write_text(source.replace(mutant.right, mutant.wrong))
    named = "".join(f'{fixture} = MADE["{fixture}"]\n' for fixture in fixtures)
    (project / "test_mutated.py").write_text(_TESTS + named)
    (project / "conftest.py").write_text('pytest_plugins = ["firkin.testkit"]\n')
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    chosen = () if mutant is None else ("-k", mutant.promise)
    return run_kit(project, directory, "-x", "--firkin-deadline=600", "-q", *chosen)


def test_the_copy_without_a_bug_keeps_every_promise(tmp_path: Path) -> None:
    run = _run(tmp_path, tuple(dict.fromkeys(mutant.fixture for mutant in MUTANTS)))
    assert run.exit_code == 0, run.output
    assert {row.verdict for row in run.rows} == {"kept"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_deliberate_bug_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    run = _run(tmp_path, (mutant.fixture,), mutant)
    assert run.exit_code == 1, run.output
    (broken,) = run.promises_with("broken")
    assert mutant.promise.replace("_", " ") in broken


def test_there_are_enough_bugs_in_enough_ports() -> None:
    assert len(MUTANTS) >= 10
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.fixture for mutant in MUTANTS} <= set(CONTRACTS)
