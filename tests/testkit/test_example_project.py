"""A project outside of firkin runs the contract of its VMM with three lines."""

from __future__ import annotations

from pathlib import Path

from .kit_run import run_kit

_PROJECT = Path(__file__).parents[2] / "examples/tiny_vmm"


def test_the_example_keeps_every_promise_and_is_told_so(tmp_path: Path) -> None:
    run = run_kit(_PROJECT, tmp_path, "-v")
    assert run.exit_code == 0, run.output
    assert {(row.port, row.adapter, row.verdict) for row in run.rows} == {("vmm", "TinyVmm", "kept")}
    assert "a sandbox runs until it is left" in {row.promise for row in run.rows}
    assert "firkin: promises kept" in run.output
    assert f"{len(run.rows)} kept" in run.output
    assert "yes     a sandbox runs until it is left" in run.output


def test_a_promise_that_is_broken_is_named(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    source = (_PROJECT / "tiny_vmm.py").read_text()
    broken = source.replace("    sandbox.kill()\n    await sandbox.wait_ended()\n", "    del sandbox\n")
    assert broken != source
    (project / "tiny_vmm.py").write_text(broken)
    for name in ("conftest.py", "test_tiny_vmm.py"):
        (project / name).write_text((_PROJECT / name).read_text())
    (project / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    run = run_kit(project, tmp_path, "--firkin-deadline=5", "-k", "runs_until")
    assert run.exit_code == 1
    assert run.promises_with("broken") == {"a sandbox runs until it is left"}
    # Another one, which is given the usual time, is kept.
    run = run_kit(project, tmp_path, "-k", "sockets")
    assert (run.exit_code, len(run.promises_with("kept"))) == (0, 1)
