"""A pod in a machine that reaches what its host reaches."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from .machines import BOOT_SECONDS, guest_images


def test_a_pod_in_a_machine_reaches_the_network_and_names_but_not_the_loopback_of_its_host(tmp_path: Path) -> None:
    asyncio.run(guest_images().image())
    program = [sys.executable, "-m", "tests.vm.networked_machine", str(tmp_path)]
    top = Path(__file__).parents[2]
    made = ["sh", str(top / "tests/integration/pod/networked_machine.sh")]
    isolated = ["unshare", "--net", "--mount", "--propagation", "private", "--", *made, *program]
    ran = subprocess.run(isolated, capture_output=True, text=True, check=False, cwd=top, timeout=2 * BOOT_SECONDS)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("heard hi\n1\nnameserver 10.0.2.3\n"), ran.stdout
    assert "192.0.2.9" in ran.stdout
    assert "changed" not in ran.stdout
