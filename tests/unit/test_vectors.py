"""firkin agrees with its vectors, and so does a second implementation of the rules."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from firkin import errors
from firkin.domain.digest import Digest, chain_ids
from firkin.domain.guest_path import GuestPath, checked_relative_path
from firkin.domain.ids import ContainerId, PodId, VolumeName
from firkin.domain.layout import StoreLayout
from firkin.domain.lifecycle import CONTAINER_TRANSITIONS, POD_TRANSITIONS
from firkin.testkit.opened_agent import same_bytes
from generators.test_vectors.__main__ import main as write_vectors
from tests.integration.layers.archives import Trickle, sha256
from tests.vectors.formats import (
    FILES,
    HERE,
    ManifestCase,
    NameCase,
    NodeKind,
    RuntimeSpecCase,
    TreeNode,
    WhiteoutCase,
    read,
    schema,
)
from tests.vectors.subjects import manifest_pod, runtime_spec

_REASONS = {
    "it is empty": "empty",
    "it is longer than 64 characters": "length",
    "it has a character other than letters, digits, '_', '.' and '-'": "character",
    "its first character is not a letter or digit": "first",
    "it contains NUL": "nul",
    "it is the root directory": "root",
    "it is not absolute": "absolute",
    "it is not relative": "relative",
    "it is not normalised: it has an empty, '.' or '..' component": "component",
}
_NAMES = read("names.json")
_RULES: dict[str, tuple[tuple[NameCase, ...], Callable[[str], object]]] = {
    "ids": (_NAMES.ids, ContainerId),
    "guest paths": (_NAMES.guest_paths, GuestPath),
    "relative paths": (_NAMES.relative_paths, checked_relative_path),
}


def test_the_schema_is_the_one_of_the_formats_and_long_files_are_as_they_are_written_now(tmp_path: Path) -> None:
    assert (HERE / "schema.json").read_bytes() == schema()
    write_vectors(tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert len(written) > 5
    for name in written:
        assert same_bytes((tmp_path / name).read_bytes(), (HERE / name).read_bytes()), name
    assert {path.name for path in HERE.glob("*.json")} == {*FILES, "schema.json"}


@pytest.mark.parametrize("kind", _RULES)
def test_names_are_accepted_or_refused_for_the_reason(kind: str) -> None:
    cases, check = _RULES[kind]
    assert {case.value: _reason(check, case.value) for case in cases} == {case.value: case.why for case in cases}


def _reason(check: Callable[[str], object], value: str) -> str:
    try:
        check(value)
    except (errors.InvalidId, errors.InvalidGuestPath, errors.InvalidRelativePath) as error:
        return _REASONS[error.reason]
    return ""


def test_members_of_archives_are_put_where_the_vectors_say() -> None:
    from firkin._fast import clean_member_name

    for case in read("tar_members.json").cases:
        try:
            found = clean_member_name(case.name.encode()).decode()
        except ValueError:
            found = None
        assert found == case.path, case


def test_digests_and_chain_ids() -> None:
    file = read("digests.json")
    for text in file.texts:
        try:
            Digest(text.value)
        except errors.InvalidDigest:
            assert not text.accepted, text
        else:
            assert text.accepted, text
    for content in file.contents:
        assert Digest.of(base64.b64decode(content.content_base64)) == content.digest
    for chain in file.chains:
        assert chain_ids([Digest(one) for one in chain.diff_ids]) == chain.chain_ids


def test_everything_lies_where_the_vectors_say() -> None:
    layout = StoreLayout()
    for case in read("layout.json").cases:
        given = case.arguments
        pod, volume = PodId(given.get("pod", "p")), VolumeName(given.get("volume", "v"))
        overlay = layout.overlay(pod, ContainerId(given.get("container", "c")))
        chain_id = Digest(given.get("chain_id", Digest.of(b"")))
        places = {
            "template": layout.template(chain_id),
            "template rootfs": layout.template_rootfs(chain_id),
            "pod": layout.pod(pod),
            "emptyDir": layout.empty_dir(pod, volume),
            "emptyDir file": layout.empty_dir_file(pod, volume, given.get("file", "f")),
            "upper": overlay.upper,
            "work": overlay.work,
            "merged": overlay.merged,
        }
        assert places[case.what] == case.path


def test_every_phase_goes_where_the_vectors_say() -> None:
    tables: dict[str, dict[str, dict[str, str]]] = {
        "pod": {str(phase): {str(k): str(v) for k, v in row.items()} for phase, row in POD_TRANSITIONS.items()},
        "container": {
            str(phase): {str(k): str(v) for k, v in row.items()} for phase, row in CONTAINER_TRANSITIONS.items()
        },
    }
    for case in read("lifecycle.json").cases:
        assert tables[case.machine][case.phase].get(case.event) == case.next, case


def test_codes_of_errors_stay() -> None:
    for case in read("errors.json").cases:
        kind = getattr(errors, case.name)
        assert (kind.code, kind.retryable, kind.exit_code) == (case.code, case.retryable, case.exit_code)
        assert kind.errno == case.errno
        assert kind.__bases__[0].__name__ == case.base


@pytest.mark.parametrize("case", read("runtime_specs.json").cases, ids=lambda case: case.name)
def test_images_and_wishes_become_this_runtime_spec(case: RuntimeSpecCase) -> None:
    assert runtime_spec(case.image_config, case.overrides, case.host_name, case.rootfs) == case.runtime_spec


@pytest.mark.parametrize("case", read("manifests.json").cases, ids=lambda case: case.name)
async def test_manifests_become_this_pod(case: ManifestCase) -> None:
    if case.pod is None:
        with pytest.raises((errors.ManifestError, errors.InvalidPodSpec)):
            await manifest_pod(case.manifest)
    else:
        assert await manifest_pod(case.manifest) == case.pod


@pytest.mark.parametrize(
    "case", [*read("whiteouts.json").cases, *read("global_headers.json").cases], ids=lambda case: case.name
)
def test_layers_become_this_tree(case: WhiteoutCase, tmp_path: Path) -> None:
    from firkin.vminitd.layers.applier import apply_layer

    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    layers = [base64.b64decode(layer) for layer in case.layers_base64]
    try:
        for layer in layers:
            digest = sha256(layer)
            apply_layer(str(rootfs), Trickle(layer), layer_name="layer", media_type="", digest=digest, diff_id=digest)
    except errors.LayerRefused:
        assert case.tree is None
        return
    assert case.tree is not None
    found = {str(path.relative_to(rootfs)): path for path in rootfs.rglob("*")}
    assert set(found) == set(case.tree)
    for name, node in case.tree.items():
        assert _seen(found[name], node) == node, name


_KINDS: dict[int, NodeKind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
}


def _seen(path: Path, expected: TreeNode) -> TreeNode:
    status = path.lstat()
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    content = hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else ""
    target = os.readlink(path) if kind == "symlink" else ""
    if kind in ("character", "block"):
        target = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    mtime = None if expected.mtime_ns is None else status.st_mtime_ns
    mode = stat.S_IMODE(status.st_mode)
    return TreeNode(kind, mode, status.st_uid, status.st_gid, content, target, mtime, expected.names)


def test_a_second_implementation_of_the_rules_agrees() -> None:
    done = subprocess.run(["perl", HERE / "second_reader.pl", HERE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    count = int(done.stdout.split()[0])
    names = len(_NAMES.ids) + len(_NAMES.guest_paths) + len(_NAMES.relative_paths)
    assert count > names + len(read("tar_members.json").cases)


def test_the_second_implementation_notices_a_difference(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((HERE / name).read_bytes())
    names = (tmp_path / "names.json").read_text()
    (tmp_path / "names.json").write_text(names.replace('"first"', '"character"'))
    done = subprocess.run(["perl", HERE / "second_reader.pl", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected 'character', found 'first'" in done.stdout
