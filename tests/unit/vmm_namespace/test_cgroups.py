"""Control groups of sandboxes, as directories that stand for the kernel's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_REMOVING = """
import asyncio, sys
from pathlib import Path
from firkin.adapters.vmm_namespace.cgroups import SandboxCgroups
from firkin.adapters.vmm_namespace.hierarchies import Hierarchy
groups = SandboxCgroups("firkin-x", [Hierarchy(2, frozenset(), Path(sys.argv[1]))])
print([path.name for path in asyncio.run(groups.remove())])
"""


def test_a_process_that_cannot_be_seen_from_here_is_not_taken_for_the_own_group(tmp_path: Path) -> None:
    (tmp_path / "firkin-x").mkdir()
    (tmp_path / "firkin-x" / "cgroup.procs").write_text("0\n")
    command = [sys.executable, "-c", _REMOVING, str(tmp_path)]
    # In a session of its own: what is sent to process 0 goes to everybody in the sender's group.
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['firkin-x']\n"), done.stderr
