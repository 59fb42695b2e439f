"""The kit notices bugs: each of those in `mutants.py`, put into a copy of the adapters in memory, breaks a promise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import firkin.adapters.memory
from firkin.testkit.contract import CONTRACTS

from .kit_run import KitRun, run_kit
from .mutant import Mutant
from .mutants import MUTANTS

_TESTS = """
import contextlib

import pytest
from mutated import *
from mutated.pipes import MemoryPipe, PipeSink, PipeSource
from firkin.domain.image import ImageConfig
from firkin.domain.reclaiming import Reclaimable, ReclaimableKind
from firkin.ports.leftovers import Leftover
from firkin.testkit.agent_place import AgentPlace
from firkin.testkit.supervised_pods import SupervisedPods

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


def called(name, make):
    def with_directory(directory):
        return make(directory)

    def without():
        return make()

    made = with_directory if make in (agent, MemoryGuestImages) else without
    made.__name__ = name
    return made


def agent(directory):
    async def image():
        return MemoryImageSource().add("busybox")

    world = MemoryWorld()
    return AgentPlace(MemoryAgentConnector(world), MemoryVmm(world), directory / "store", image)


def supervised():
    registry = MemoryPodRegistry()
    controls = MemoryPodControls(registry)
    return SupervisedPods(registry, registry.logs, controls, controls)


class Space:
    def __init__(self):
        self.space = MemoryReclaimableSpace()
        self._added = 0

    async def add(self):
        self._added += 1
        item = Reclaimable(ReclaimableKind.BLOB, f"{self._added}", 9, 0.0)
        self.space.add(item)
        return item

    @contextlib.asynccontextmanager
    async def used(self, item):
        self.space.hold(item.identity, "somebody uses it")
        yield
        self.space.hold(item.identity, "")


class LeftBehind:
    def __init__(self):
        self.place = MemoryLeftovers()
        self._added = 0

    async def add(self):
        self._added += 1
        self.place.add(Leftover("file", f"left-{self._added}"))

    def revived(self, leftover):
        return self.place.revived(leftover)


MADE = {
    "firkin_vmm": MemoryVmm,
    "firkin_pod_store": MemoryPodStore,
    "firkin_agent": agent,
    "firkin_image_source": Source,
    "firkin_image_library": MemoryImageLibrary,
    "firkin_log_keeper": MemoryLogKeeper,
    "firkin_pod_registry": MemoryPodRegistry,
    "firkin_pod_control": supervised,
    "firkin_left_behind": LeftBehind,
    "firkin_guest_images": MemoryGuestImages,
    "firkin_spawn_observer": MemorySpawnObserver,
    "firkin_reclaimable_space": Space,
    "firkin_streams": Streams,
}
"""


_CONFTEST = """
import json
from pathlib import Path

pytest_plugins = ["firkin.testkit"]
PROMISES = json.loads(Path(__file__).with_name("promises.json").read_text())


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if PROMISES.get(item.path.stem, "") in item.name]
"""

UNCHANGED = "unchanged"
_NOT_CLAIMED = {"a template is held as often as asked also before it is made"}


def _named(number: int) -> str:
    return f"mutant_{number}"


def _write(project: Path, package: str, fixtures: tuple[str, ...]) -> Path:
    """A copy of the adapters, and a test module that names some of them `package`; returns the copy."""
    memory = Path(firkin.adapters.memory.__file__).parent
    copy = project / f"adapters_{package}"
    shutil.copytree(memory, copy, ignore=shutil.ignore_patterns("__pycache__"))
    named = "".join(f'{fixture} = called("{package}", MADE["{fixture}"])\n' for fixture in fixtures)
    (project / f"test_{package}.py").write_text(_TESTS.replace("mutated", copy.name) + named)
    return copy


def _mutate(copy: Path, mutant: Mutant) -> None:
    path = copy / f"{mutant.module}.py"
    source = path.read_text()
    assert mutant.right in source, f"{path.name} has no {mutant.right!r} any more"
    path.write_text(source.replace(mutant.right, mutant.wrong))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> KitRun:
    """One run of the kit over all copies; of a mutant only the promise that has to be broken."""
    directory = tmp_path_factory.mktemp("mutants")
    project = directory / "project"
    project.mkdir()
    _write(project, UNCHANGED, tuple(dict.fromkeys(mutant.fixture for mutant in MUTANTS)))
    for number, mutant in enumerate(MUTANTS):
        _mutate(_write(project, _named(number), (mutant.fixture,)), mutant)
    promises = {f"test_{_named(number)}": mutant.promise for number, mutant in enumerate(MUTANTS)}
    (project / "promises.json").write_text(json.dumps(promises))
    (project / "conftest.py").write_text(_CONFTEST)
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    return run_kit(project, directory, "--firkin-deadline=600", "-q")


def test_the_copy_without_a_bug_keeps_every_promise(run: KitRun) -> None:
    rows = [row for row in run.rows if row.adapter == UNCHANGED]
    assert {row.promise for row in rows if row.verdict != "kept"} == _NOT_CLAIMED, run.output
    assert len({row.port for row in rows}) == len({mutant.fixture for mutant in MUTANTS})


@pytest.mark.parametrize(("number", "mutant"), list(enumerate(MUTANTS)), ids=[mutant.name for mutant in MUTANTS])
def test_a_deliberate_bug_is_caught(number: int, mutant: Mutant, run: KitRun) -> None:
    broken = [row for row in run.rows if row.adapter == _named(number) and row.verdict == "broken"]
    assert broken, run.output
    assert all(mutant.promise.replace("_", " ") in row.promise for row in broken)


def test_there_are_enough_bugs_in_enough_ports() -> None:
    assert len(MUTANTS) >= 10
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.fixture for mutant in MUTANTS} <= set(CONTRACTS)
