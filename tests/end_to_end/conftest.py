"""The command, and the check that it left nothing on the machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import Command, has_other_ids, idle_cgroups, lasting_cgroups


@pytest.fixture(scope="session")
def shared_command(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Command:
    """One state directory for all tests, so that images are unpacked once."""
    command = Command(tmp_path_factory.mktemp("firkin"))
    if not has_other_ids():
        # What is lost is told when an image is unpacked: here, so that the tests read what their own commands say.
        done = command.run("run", busybox_image, "true")
        assert (done.code, "1 file belongs to somebody else" in done.stderr) == (0, True), done
    return command


@pytest.fixture
def firkin(shared_command: Command) -> Iterator[Command]:
    """The command; afterwards nothing of a pod may be left."""
    before = idle_cgroups()
    yield shared_command
    groups, left = lasting_cgroups(before), shared_command.leftovers()
    # One test that fails is no reason for all that follow to find its pod.
    shared_command.remove_all_pods()
    assert groups == set()
    assert left == []


@pytest.fixture
def image_copy(busybox_image: str, tmp_path: Path) -> Path:
    """A copy of the busybox image's layout, to be damaged."""
    return Path(shutil.copytree(busybox_image.split(":")[1], tmp_path / "layout"))


@pytest.fixture(scope="session")
def foreign_image(busybox_image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image for another platform than this machine's, behind an index."""
    layout = Path(shutil.copytree(busybox_image.split(":")[1], tmp_path_factory.mktemp("foreign") / "layout"))
    image = f"{layout}:foreign"
    subprocess.run(["umoci", "tag", "--image", f"{layout}:latest", "foreign"], check=True)
    subprocess.run(["umoci", "config", "--image", image, "--architecture", "s390x"], check=True)
    index = json.loads((layout / "index.json").read_bytes())
    for descriptor in index["manifests"]:
        if descriptor["annotations"]["org.opencontainers.image.ref.name"] == "foreign":
            descriptor["platform"] = {"architecture": "s390x", "os": "linux"}
    (layout / "index.json").write_text(json.dumps(index))
    return f"oci:{image}"
