from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import Command, finished, idle_cgroups, lasting_cgroups


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Command]:
    """The command with a state directory that no other test uses."""
    before = idle_cgroups()
    command = Command(tmp_path)
    yield command
    assert lasting_cgroups(before) == set()
    assert command.leftovers() == []


@pytest.fixture(scope="session")
def archive(busybox_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The busybox image as an archive of `docker save`."""
    path = tmp_path_factory.mktemp("archive") / "busybox.tar"
    command = ["skopeo", "copy", "-q", busybox_image, f"docker-archive:{path}:local/busybox:1"]
    subprocess.run(command, check=True)
    return path


def name_within(archive: Path) -> str:
    """The name that the tool which wrote the archive gave to its image: some put a host before it."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None
        (image,) = json.load(manifest)
    (name,) = image["RepoTags"]
    assert name.endswith("local/busybox:1")
    return str(name)


def test_an_image_of_an_archive_runs(firkin: Command, archive: Path) -> None:
    assert firkin.run("run", f"docker-archive:{archive}:local/busybox:1", "--", "echo", "hi") == (0, b"hi\n", "")


def test_an_image_of_a_gzipped_archive_runs(firkin: Command, archive: Path, tmp_path: Path) -> None:
    gzipped = Path(shutil.copy(archive, tmp_path))
    subprocess.run(["busybox", "gzip", gzipped], check=True)
    assert firkin.run("run", f"docker-archive:{gzipped}.gz", "--", "echo", "hi") == (0, b"hi\n", "")


def test_a_name_that_the_archive_lacks_lists_those_it_has(firkin: Command, archive: Path) -> None:
    done = firkin.run("run", f"docker-archive:{archive}:other", "true")
    assert done.code == 125
    assert "local/busybox:1" in done.error()


def test_an_imported_image_is_listed_run_and_removed(own: Command, archive: Path) -> None:
    assert own.run("images").stdout.splitlines()[1:] == []
    imported = own.run("image", "import", f"docker-archive:{archive}")
    reference = imported.stdout.decode().strip()
    assert imported.code == 0, imported.stderr
    name = name_within(archive)
    assert reference.startswith(f"image:{name}@sha256:")

    (listed,) = json.loads(own.run("images", "--json").stdout)
    assert (listed["name"], listed["layers"], listed["problem"]) == (name, 1, "")
    line = own.run("images").stdout.decode().splitlines()[1]
    assert line.startswith(f"{name} ")
    assert listed["digest"].removeprefix("sha256:")[:12] in line
    for known_as in (reference, f"image:{name}", "image:local/busybox:1"):
        assert own.run("run", known_as, "--", "echo", "kept") == (0, b"kept\n", "")

    removed = own.run("image", "rm", reference)
    assert removed.code == 0
    assert b" freed" in removed.stdout
    assert list((own.state_dir / "images/blobs/sha256").iterdir()) == []
    assert own.run("run", reference, "true").code == 125


def test_an_image_is_imported_under_the_name_that_is_given(own: Command, busybox_image: str) -> None:
    assert own.run("image", "import", busybox_image, "tools/busybox:2").code == 0
    assert own.run("image", "import", "image:tools/busybox:2", "other").code == 0
    assert [image["name"] for image in json.loads(own.run("images", "--json").stdout)] == ["other", "tools/busybox:2"]
    layout = f"oci:{own.state_dir}/images:other"
    subprocess.run(["skopeo", "inspect", layout], check=True, stdout=subprocess.DEVNULL)


def test_what_cannot_be_imported_or_removed_is_told(own: Command, busybox_image: str, archive: Path) -> None:
    wrong = own.run("image", "import", busybox_image, "no name")
    assert (wrong.code, "a name has up to 255" in wrong.error()) == (125, True)
    assert own.run("image", "import", "oci:/nonexistent", "name").code == 125
    absent = own.run("image", "rm", "absent")
    assert absent.code == 1
    assert "nothing is kept under the name 'absent'" in absent.stderr


def test_prune_keeps_what_a_pod_uses_and_takes_it_afterwards(own: Command, archive: Path) -> None:
    image = f"docker-archive:{archive}"
    script = "echo ready; while read line; do echo $line; ls /bin | wc -l; done"
    with own.started("run", "--name", "runs", image, "sh", "-c", script, stdin=subprocess.PIPE) as pod:
        assert pod.stdin is not None
        assert pod.stdout is not None
        assert pod.stdout.readline() == b"ready\n"

        during = own.run("image", "prune").stdout.decode()
        (template,) = json.loads(own.run("images", "--store", "default", "--json").stdout)
        assert template["held"] == "pod runs uses it"
        assert "pod runs uses it" in during
        pod.stdin.write(b"still\n")
        pod.stdin.flush()
        assert pod.stdout.readline() == b"still\n"
        assert int(pod.stdout.readline()) > 100
        pod.stdin.close()
        pod.stdin = None
        assert finished(pod).code == 0

    dry = own.run("image", "prune", "--dry-run", "--keep-bytes", "0").stdout.decode()
    assert "would remove" in dry
    kept = own.run("image", "prune", "--keep-bytes", "1GiB").stdout.decode()
    assert "it fits within what is to be kept" in kept
    assert len(own.run("images", "--store", "default").stdout.splitlines()) == 2
    after = own.run("image", "prune").stdout.decode()
    assert "nothing uses it" in after
    assert own.run("images", "--store", str(own.state_dir / "store")).stdout.splitlines()[1:] == []
    assert own.run("run", image, "--", "echo", "again") == (0, b"again\n", "")


def test_a_size_that_is_none_is_a_usage_error(own: Command) -> None:
    done = own.run("image", "prune", "--keep-bytes", "much")
    assert done.code == 2
    assert "'much' is invalid" in done.stderr
