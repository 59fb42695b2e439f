from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .command import Command

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def _run(firkin: Command, example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / example), *arguments],
        env=firkin.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_run_a_pod(firkin: Command, busybox_image: str) -> None:
    done = _run(firkin, "run_a_pod.py", busybox_image)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "writer: letter written (exit code 0)",
        "reader: hello from the writer (exit code 0)",
    ]


def test_run_a_pod_sync(firkin: Command, busybox_image: str) -> None:
    done = _run(firkin, "run_a_pod_sync.py", busybox_image)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "writer: letter written (exit code 0)",
        "reader: hello from the writer (exit code 0)",
    ]


def test_add_exec_wait_remove(firkin: Command, busybox_image: str) -> None:
    done = _run(firkin, "add_exec_wait_remove.py", busybox_image)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "added: worker is running",
        "exec: role is worker, job is 1 (exit code 0)",
        "wait: exit code 3; the container is exited",
        "removed: [] are left",
    ]


def test_own_image_source(firkin: Command, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "bin" / "busybox").chmod(0o755)
    done = _run(firkin, "own_image_source.py", str(tmp_path), "/bin/busybox", "echo", "from a directory")
    assert (done.returncode, done.stdout) == (0, "from a directory\n"), done.stderr


def test_examples_are_short() -> None:
    for name in ("run_a_pod.py", "run_a_pod_sync.py", "add_exec_wait_remove.py", "own_image_source.py"):
        assert len((EXAMPLES / name).read_text().splitlines()) < 60
