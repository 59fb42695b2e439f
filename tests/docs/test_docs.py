"""The pages of docs/ are built without a warning, and what they show in Python runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from firkin.domain.events import Event
from firkin.domain.lifecycle import CONTAINER_TRANSITIONS, POD_TRANSITIONS
from firkin.domain.stages import CONTAINER_STAGES, POD_STAGES
from generators.docs.lifecycle_page import lifecycle_page
from generators.docs.ports_page import ports_page
from tests.testkit.kit_run import run_kit

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"\A# file: (\S+)\n")


def _blocks(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text())


PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if _blocks(page)]


def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for name in ("ports", "lifecycle", "wire", "security", "performance", "adapter-in-an-hour"):
        assert (tmp_path / "site" / name / "index.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    programs = []
    for block in _blocks(page):
        if (named := _FILE.match(block)) is not None:
            (tmp_path / "project" / named[1]).write_text(block)
        else:
            programs.append(block)
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout
    if list((tmp_path / "project").glob("test_*.py")):
        (tmp_path / "project" / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        run = run_kit(tmp_path / "project", tmp_path)
        assert run.exit_code == 0, run.output
        assert run.promises_with("kept")


def test_the_page_of_events_has_every_event_and_every_stage() -> None:
    page = (ROOT / "docs/events.md").read_text()
    told = {event.__name__ for event in get_args(Event)} - {"Subscribed"}
    assert len(told) > 10
    assert [name for name in sorted(told) if f"`{name}`" not in page] == []
    assert [stage for stage in (*POD_STAGES, *CONTAINER_STAGES) if f"`{stage}`" not in page] == []


def test_pages_with_programs_are_found() -> None:
    assert {page.stem for page in PAGES} >= {"adapter-in-an-hour", "testkit", "events"}


def test_the_diagram_has_every_transition_and_the_ports_every_call() -> None:
    page = lifecycle_page()
    for table in (POD_TRANSITIONS, CONTAINER_TRANSITIONS):
        for phase, row in table.items():
            for event, following in row.items():
                assert f"| {phase} | {event} | {following} |" in page
    ports = ports_page()
    for heading in ("Port `Vmm`", "Port `PodStore`", "await start_container(launch: ContainerLaunch)", "Raises"):
        assert heading in ports
    assert "- a sandbox runs until it is left" in ports
