"""A pod that reaches what its host reaches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import firkin


@pytest.mark.needs_root
def test_a_pod_reaches_the_network_and_names_but_not_the_loopback_of_its_host(tmp_path: Path) -> None:
    check_user_network([sys.executable, "-m", "tests.integration.pod.networked_machine", str(tmp_path)])


def check_user_network(program: Sequence[str]) -> None:
    """Run the program of a networked machine, and see what its pods saw."""
    made = ["sh", str(Path(__file__).with_name("networked_machine.sh"))]
    isolated = ["unshare", "--net", "--mount", "--propagation", "private", "--", *made, *program]
    ran = subprocess.run(
        isolated, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3], timeout=240
    )
    assert ran.returncode == 0, ran.stderr
    seen, reason, running, left = json.loads(ran.stdout)
    assert seen.startswith("heard hi\n1\nnameserver 10.0.2.3\n"), seen
    assert "192.0.2.9" in seen
    assert reason.startswith("its user network (slirp4netns) ended, and its init was killed by SIGKILL")
    assert (running, left) == (1, 0)


async def test_without_a_network_a_pod_keeps_its_images_resolver() -> None:
    named = firkin.DnsConfig(nameservers=("192.0.2.1",))
    for config, asked, expected in (
        (firkin.VmConfig(), None, None),
        (firkin.VmConfig(network="user"), None, firkin.DnsConfig(nameservers=("10.0.2.3",))),
        (firkin.VmConfig(network="user"), named, named),
    ):
        builder = firkin.PodBuilder("pod-1", config)
        spec = (builder if asked is None else builder.dns(asked)).build()
        assert spec.networked_surroundings.dns == expected
