"""Manifests played by `podman kube play`, and what came of them."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml
from msgspec.structs import replace

_SCRIPT = Path(__file__).with_name("beside_podman.bash")
_ALL_SECONDS = 850


class Answer(msgspec.Struct, frozen=True):
    """How a container ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Play(msgspec.Struct, frozen=True):
    """A manifest for podman.

    Attributes:
        text: in which names of images stand for them.
        ask: a script for bash that is run once the pod was played, beside podman and not in the pod; without one all
            containers are waited for.
        network: whether the pod has a network, as it must for ports and for names of its own.
    """

    text: str
    ask: str = ""
    network: bool = False


class Played(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        code: 0 if podman says that the pod was started.
        told: what podman wrote, and what who asked wrote to standard error.
        answer: what was answered to who asked.
        containers: of a pod that nobody asked, all of them but podman's own.
    """

    code: int
    told: str
    answer: str
    containers: Mapping[str, Answer]


def asked_of(container: str, shell: str, awaited: str, question: str) -> str:
    """Asks one of the containers by its shell, as soon as `awaited` succeeds there."""
    until = f"until {{ {awaited}; }} > /dev/null 2>&1; do sleep 0.05; done"
    execute = f"timeout 120 podman exec {container} {shell}"
    return f"{execute} -c {shlex.quote(until)}\n{execute} -ec {shlex.quote(question)}\n"


def played_by_podman(directory: Path, images: Mapping[str, str], plays: Mapping[str, Play]) -> Mapping[str, Played]:
    """Play them one after the other, by a podman that has nothing but the images; their names are in capitals."""
    (directory / "images").mkdir(parents=True)
    for name, image in images.items():
        (directory / "images" / name.lower()).write_text(image)
    for name, play in plays.items():
        text = play.text
        for word in images:
            text = text.replace(word, f"localhost/{word.lower()}:1")
        _write(directory / name, replace(play, text=text))
    done = subprocess.run((_SCRIPT, directory), capture_output=True, text=True, timeout=_ALL_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: _played(directory, name) for name in plays}


def _write(name: Path, play: Play) -> None:
    documents = re.split(r"(?m)^---\n", play.text)
    if "secretKeyRef" in play.text:
        # podman 4.3.1 finds variables in secrets that it was given as such alone, not in those of the same file.
        name.with_suffix(".secrets").mkdir()
        for secret in (yaml.safe_load(document) for document in documents if _is_secret(document)):
            (name.with_suffix(".secrets") / secret["metadata"]["name"]).write_text(json.dumps(_encoded(secret)))
        documents = [document for document in documents if not _is_secret(document)]
    name.with_suffix(".yaml").write_text("---\n".join(documents))
    if play.ask:
        name.with_suffix(".ask").write_text(play.ask)
    if play.network:
        name.with_suffix(".network").write_text("slirp4netns")


def _is_secret(document: str) -> bool:
    return bool(yaml.safe_load(document)["kind"] == "Secret")


def _encoded(secret: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    plain = {key: base64.b64encode(text.encode()).decode() for key, text in secret.get("stringData", {}).items()}
    return {**secret.get("data", {}), **plain}


def _played(directory: Path, name: str) -> Played:
    def read(suffix: str) -> str:
        path = directory / f"{name}.{suffix}"
        return path.read_text() if path.exists() else ""

    return Played(
        int(read("played")), read("told") + read("told-by-ask"), read("answer"), _containers(directory / name)
    )


def _containers(name: Path) -> Mapping[str, Answer]:
    pod = name.name.replace("_", "-")
    return {
        path.stem.removeprefix(f"{pod}-"): Answer(
            int(path.read_text()), path.with_suffix(".stdout").read_text(), path.with_suffix(".stderr").read_text()
        )
        for path in name.with_suffix(".containers").glob("*.code")
    }
