"""What is wrong is told in one clear sentence, with the right exit code, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .command import Command, finished

OWN_FAILURE = 125
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def test_ctrl_c_while_modules_load_ends_it_without_a_word(tmp_path: Path) -> None:
    # A module that the command line loads stands for any: it is interrupted in its middle.
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "firkin", "ps"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("is_unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("ps",), ("--help",), ("doctor", "--json")])
def test_a_list_that_a_full_disk_does_not_take_is_an_error_of_its_output(
    firkin: Command, arguments: tuple[str, ...], is_unbuffered: str
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "firkin", *arguments],
            env=firkin.environment({"PYTHONUNBUFFERED": is_unbuffered}),
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    told = "firkin: error: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (OWN_FAILURE, told)


def test_a_missing_image_is_named(firkin: Command, tmp_path: Path) -> None:
    done = firkin.run("run", f"oci:{tmp_path}/nowhere:latest", "true")
    assert done.code == OWN_FAILURE
    assert f"{tmp_path}/nowhere" in done.error()


def test_a_missing_tag_is_told_with_those_there_are(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", busybox_image.replace(":latest", ":nonsense"), "true")
    assert done.code == OWN_FAILURE
    assert "has no tag 'nonsense'; tags there: latest, variant" in done.error()


def test_a_reference_without_scheme_is_told_the_schemes(firkin: Command) -> None:
    done = firkin.run("run", "busybox", "true")
    assert done.code == OWN_FAILURE
    assert "there are: oci:" in done.error()
    nothing = firkin.run("run", "oci:", "true")
    assert (nothing.code, "it names nothing behind its scheme" in nothing.error()) == (OWN_FAILURE, True)


def test_an_image_for_another_platform_is_refused(firkin: Command, foreign_image: str) -> None:
    done = firkin.run("run", foreign_image, "true")
    assert done.code == OWN_FAILURE
    assert "it exists for: linux/s390x" in done.error()


def test_a_platform_may_be_asked_for_that_the_image_lacks(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "--platform", "linux/riscv64", busybox_image, "true")
    assert done.code == OWN_FAILURE
    assert "does not exist for linux/riscv64" in done.error()


def _layer_of(layout: Path) -> tuple[Path, Path]:
    """The blobs of the manifest and of the first layer of the tag `latest`."""
    blobs = layout / "blobs" / "sha256"
    index = json.loads((layout / "index.json").read_bytes())
    latest = next(
        each for each in index["manifests"] if each["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    )
    manifest = blobs / latest["digest"].removeprefix("sha256:")
    layer = json.loads(manifest.read_bytes())["layers"][0]["digest"].removeprefix("sha256:")
    return manifest, blobs / layer


def test_a_corrupt_layer_is_refused(firkin: Command, image_copy: Path, tmp_path: Path) -> None:
    _, layer = _layer_of(image_copy)
    data = bytearray(layer.read_bytes())
    data[len(data) // 2] ^= 0xFF
    layer.write_bytes(data)
    done = firkin.run("run", f"oci:{image_copy}:latest", "true", env={"FIRKIN_STATE_DIR": str(tmp_path / "state")})
    assert done.code == OWN_FAILURE
    assert layer.name in done.error()
    assert _templates(tmp_path / "state") == []


def test_a_corrupt_manifest_is_refused(firkin: Command, image_copy: Path) -> None:
    manifest, _ = _layer_of(image_copy)
    manifest.write_bytes(manifest.read_bytes().replace(b"sha256", b"sha257", 1))
    done = firkin.run("run", f"oci:{image_copy}:latest", "true")
    assert done.code == OWN_FAILURE
    assert manifest.name in done.error()


def test_a_missing_layer_is_refused(firkin: Command, image_copy: Path) -> None:
    _, layer = _layer_of(image_copy)
    layer.unlink()
    done = firkin.run("run", f"oci:{image_copy}:latest", "true")
    assert done.code == OWN_FAILURE
    assert layer.name in done.error()


def test_a_wrong_diff_id_is_refused(firkin: Command, image_copy: Path, tmp_path: Path) -> None:
    _with_wrong_diff_id(image_copy)
    done = firkin.run("run", f"oci:{image_copy}:latest", "true", env={"FIRKIN_STATE_DIR": str(tmp_path / "state")})
    assert done.code == OWN_FAILURE
    assert "diff id" in done.error()
    assert _templates(tmp_path / "state") == []


def _with_wrong_diff_id(layout: Path) -> None:
    """Let the config of `latest` state another diff id, with all digests above it right."""
    import hashlib

    def stored(document: object) -> dict[str, object]:
        data = json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        (layout / "blobs" / "sha256" / name).write_bytes(data)
        return {"digest": f"sha256:{name}", "size": len(data)}

    manifest_path, _ = _layer_of(layout)
    manifest = json.loads(manifest_path.read_bytes())
    config_path = layout / "blobs" / "sha256" / manifest["config"]["digest"].removeprefix("sha256:")
    config = json.loads(config_path.read_bytes())
    config["rootfs"]["diff_ids"][0] = "sha256:" + "0" * 64
    manifest["config"].update(stored(config))
    index = json.loads((layout / "index.json").read_bytes())
    for each in index["manifests"]:
        if each["digest"].endswith(manifest_path.name):
            each.update(stored(manifest))
    (layout / "index.json").write_text(json.dumps(index))


def _templates(state_dir: Path) -> list[str]:
    return [path.name for path in state_dir.glob("store/templates/*") if not path.name.startswith(".")]


def test_an_unknown_command_is_told_what_is_near(firkin: Command) -> None:
    done = firkin.run("rnu")
    assert done.code == 2
    assert "No such command 'rnu'. Did you mean 'run'?" in done.stderr


@pytest.mark.parametrize("arguments", [("run",), ("run", "--nonsense", "x"), ("run", "-e", "A", "oci:x:y")])
def test_a_mistake_in_the_command_line_of_run_is_125(firkin: Command, arguments: tuple[str, ...]) -> None:
    done = firkin.run(*arguments)
    assert done.code == OWN_FAILURE
    assert "Error: " in done.stderr


@pytest.mark.parametrize("name", [".", "..", "a/b", "", "-x", "x" * 65])
def test_an_id_that_breaks_the_rule_is_refused(firkin: Command, busybox_image: str, name: str) -> None:
    done = firkin.run("run", f"--name={name}", busybox_image, "true")
    assert done.code == OWN_FAILURE
    assert f"pod id {name!r} is invalid" in done.error()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: [", "bad.yaml"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {hostPID: true, containers: []}", "hostPID"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: ..}\nspec: {containers: [{name: a, image: 'oci:x:y'}]}", "'..'"),
        (
            "kind: Pod\napiVersion: v1\nmetadata: {name: x}\n"
            "spec: {containers: [{name: a, image: 'oci:x:y'}, {name: a, image: 'oci:x:y'}]}",
            "'a'",
        ),
    ],
)
def test_a_bad_manifest_is_told_by_its_field(firkin: Command, tmp_path: Path, text: str, told: str) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_text(text)
    done = firkin.run("pod", "run", str(manifest))
    assert done.code == OWN_FAILURE
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_manifest_that_is_missing_or_no_text_is_told(firkin: Command, tmp_path: Path) -> None:
    missing = firkin.run("pod", "run", str(tmp_path / "none.yaml"))
    assert (missing.code, missing.error()) == (OWN_FAILURE, f"{tmp_path}/none.yaml: No such file or directory")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert "not text in UTF-8" in firkin.run("pod", "run", str(binary)).error()


def test_a_manifest_that_never_ends_is_not_read_for_ever(firkin: Command) -> None:
    for command in ("run", "check"):
        endless = firkin.run("pod", command, "/dev/zero")
        assert (endless.code, "it is longer than 8 MiB" in endless.error()) == (OWN_FAILURE, True)
    with Path("/dev/zero").open("rb") as zeros, firkin.started("pod", "run", "-", stdin=zeros.fileno()) as process:
        assert "it is longer than 8 MiB" in finished(process).error()


def test_a_store_that_is_full_is_told(firkin: Command, debian_image: str) -> None:
    done = firkin.run("run", "--store", "ext4:16MiB", debian_image, "true")
    assert done.code == OWN_FAILURE
    assert "pod store is full" in done.error()


@pytest.mark.needs_root
@pytest.mark.parametrize("store", ["directory", "ext4:64MiB"])
def test_a_disk_that_is_full_is_told(firkin: Command, busybox_image: str, tmp_path: Path, store: str) -> None:
    script = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"'
    command = [sys.executable, "-m", "firkin", "run", "--store", store, busybox_image, "true"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command],
        env=firkin.environment({"FIRKIN_STATE_DIR": str(tmp_path / "state")}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == OWN_FAILURE
    assert done.stderr.startswith("firkin: error: pod store is full: no space left for "), done.stderr
    assert done.stderr.endswith(" or free space on its disk\n")


def test_a_store_that_is_too_small_is_told(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "--store", "ext4:1KiB", busybox_image, "true")
    assert done.code == OWN_FAILURE
    assert "too small" in done.error()


@pytest.mark.parametrize("store", ["btrfs", "ext4:many", "directory:1GiB"])
def test_a_store_that_cannot_be_is_told(firkin: Command, busybox_image: str, store: str) -> None:
    done = firkin.run("run", "--store", store, busybox_image, "true")
    assert done.code == OWN_FAILURE
    assert "Invalid value for '--store'" in done.stderr


def test_a_user_that_the_image_does_not_have_is_told(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", "-u", "nobody-of-that-name", busybox_image, "true")
    assert done.code == OWN_FAILURE
    assert "nobody-of-that-name" in done.error()


def test_without_crun_the_package_is_named(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    for name in ("unshare", "mount", "umount", "sh"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    done = firkin.run("run", busybox_image, "true", env={"PATH": str(tmp_path)})
    assert done.code == OWN_FAILURE
    assert "apt-get install crun" in done.error()


def test_without_permission_it_says_what_to_do(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    # The program of an unprivileged user must be able to read the image and its own code.
    above = Path(tempfile.mkdtemp(prefix="fk-", dir="/tmp"))
    try:
        above.chmod(0o755)
        layout = Path(shutil.copytree(busybox_image.split(":")[1], above / "layout"))
        layout.chmod(0o755)
        done = subprocess.run(
            [*AS_NOBODY, sys.executable, "-m", "firkin", "run", f"oci:{layout}:latest", "true"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
                "FIRKIN_STATE_DIR": str(firkin.state_dir),
                "FIRKIN_RUNTIME_DIR": str(firkin.runtime_dir),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        shutil.rmtree(above)
    assert done.returncode == OWN_FAILURE, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("firkin: error: no permission to "), done.stderr


def test_a_bad_setting_is_told_with_the_choices(firkin: Command, busybox_image: str) -> None:
    done = firkin.run("run", busybox_image, "true", env={"FIRKIN_VMM": "nonsense"})
    assert done.code == OWN_FAILURE
    assert "it must be one of namespace, qemu, memory" in done.error()


def test_words_that_are_not_utf_8_are_told(firkin: Command, busybox_image: str, tmp_path: Path) -> None:
    word = os.fsdecode(b"\xff")
    for detached in ((), ("-d",)):
        assert (
            f"there is no directory {tmp_path}/\\udcff"
            in firkin.run("run", *detached, f"oci:{tmp_path}/{word}").error()
        )
        assert "pod id '\\udcff' is invalid" in firkin.run("run", *detached, "--name", word, busybox_image).error()
    assert firkin.run("run", "-d", "--name", "web", busybox_image, "sleep", "600").code == 0
    for arguments in (("exec", "web", word), ("exec", "-e", f"A={word}", "web", "env"), ("cp", f"/{word}", "web:/tmp")):
        done = firkin.run(*arguments)
        assert done.code == OWN_FAILURE
        assert done.error().endswith("\\udcff' cannot be written as UTF-8")
    assert firkin.run("rm", "-f", "web").code == 0


def test_a_manifest_whose_name_is_not_utf_8_runs_by_itself_too(
    firkin: Command, busybox_image: str, tmp_path: Path
) -> None:
    manifest = tmp_path / os.fsdecode(b"\xff.yaml")
    container = f"{{name: a, image: '{busybox_image}', command: ['true']}}"
    manifest.write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: odd}, "
        f"spec: {{restartPolicy: Never, containers: [{container}]}}}}"
    )
    assert firkin.run("pod", "run", "-d", str(manifest)).code == 0
    assert firkin.run("wait", "odd").stdout == b"0\n"
    assert json.loads(firkin.run("inspect", "odd").stdout)[0]["source"] == f"{tmp_path}/?.yaml"
    assert firkin.run("rm", "odd").code == 0
