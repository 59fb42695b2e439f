"""The same manifests by firkin and by `podman kube play`: exit codes, standard output and standard error compared."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

import firkin
from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.process import Stdio, StdioOptions

from .service_manifests import SERVICES

pytestmark = pytest.mark.real_time

_HERE = Path(__file__).parent
_COMPARED = sorted(path.stem for path in (_HERE / "compared").glob("*.yaml"))
_PODMAN_SECONDS = 300
_FIRKIN_SECONDS = 120


class Answer(msgspec.Struct, frozen=True):
    """How a container ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str


Answers = Mapping[str, Answer]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory, busybox_image: str, services_image: str) -> Callable[[Path], None]:
    """Plays the manifests of a directory by podman."""
    # Skipped by name, which CI takes for a failure.
    if shutil.which("podman") is None:
        pytest.skip("podman is missing: run `apt-get install podman catatonit`")
    images = {"busybox": busybox_image, "services": services_image}

    def played(directory: Path) -> None:
        (directory / "images").mkdir()
        for name, image in images.items():
            if f"localhost/{name}:1" in "".join(path.read_text() for path in directory.glob("*.yaml")):
                archive = f"docker-archive:{directory}/images/{name}.tar:localhost/{name}:1"
                subprocess.run(("skopeo", "copy", "-q", image, archive), check=True, timeout=120)
        command = (str(_HERE / "beside_podman.bash"), str(directory))
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PODMAN_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return played


def manifest(name: str, image: str, host: Path) -> str:
    return (_HERE / "compared" / f"{name}.yaml").read_text().replace("IMAGE", image).replace("HOST", str(host))


def host_directory(base: Path) -> Path:
    host = base / "host"
    host.mkdir(parents=True)
    (host / "file").write_text("of the host\n")
    return host


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, play: Callable[[Path], None]) -> Mapping[str, Answers]:
    """What podman answers, by pod and container."""
    base = tmp_path_factory.mktemp("podman")
    host = host_directory(base)
    for name in _COMPARED:
        (base / f"{name}.yaml").write_text(manifest(name, "localhost/busybox:1", host))
    play(base)
    return {name: _answers(base, name) for name in _COMPARED}


@pytest.fixture(scope="module")
def services_of_podman(tmp_path_factory: pytest.TempPathFactory, play: Callable[[Path], None]) -> Mapping[str, str]:
    """What the services that podman runs answer there, by name."""
    base = tmp_path_factory.mktemp("services")
    for name, service in SERVICES.items():
        if not service.not_by_podman:
            text = service.manifest.replace("SERVICES", "localhost/services:1").replace(
                "BUSYBOX", "localhost/busybox:1"
            )
            # Without a network podman refuses ports, which for a pod by itself are words alone.
            (base / f"{name}.yaml").write_text(re.sub(r"(?m)^ *ports: .*\n", "", text))
            (base / f"{name}.container").write_text(f"{name}-{service.container}")
            (base / f"{name}.awaited").write_text(service.awaited)
            (base / f"{name}.question").write_text(service.question)
    play(base)
    return {path.stem: path.read_text() for path in base.glob("*.answer")}


def _answers(base: Path, name: str) -> Answers:
    prefix = f"{name}.yaml.{name.replace('_', '-')}-"
    found = {path.name.removeprefix(prefix).removesuffix(".code"): path for path in base.glob(f"{prefix}*.code")}
    return {
        container: Answer(
            int(path.read_text()), path.with_suffix(".stdout").read_text(), path.with_suffix(".stderr").read_text()
        )
        for container, path in found.items()
    }


async def firkins(name: str, directory: Path, image: str) -> Answers:
    """What firkin answers, by container."""
    host = host_directory(directory)
    config = firkin.RuntimeConfig(
        store="directory", state_dir=directory / "state", runtime_dir=directory / "run", allow_host_paths=(host,)
    )
    piped = StdioOptions(stdout=Stdio.PIPED, stderr=Stdio.PIPED)
    async with firkin.open_runtime(config) as runtime, asyncio.timeout(_FIRKIN_SECONDS):
        text = manifest(name, f'"{image}"', host)
        spec = await pod_spec(load_manifest(text, "pod.yaml", [str(host)]), runtime.images.resolve, stdio=piped)
        async with runtime.spawn(spec) as pod:
            outputs = {one.id: await one.wait_with_output() for one in pod.containers()}
    return {
        container: Answer(output.status.code, output.stdout.decode(), output.stderr.decode())
        for container, output in outputs.items()
    }


@pytest.mark.parametrize("name", [name for name in _COMPARED if name != "kubernetes_only"])
async def test_a_manifest_is_answered_as_podman_answers_it(
    name: str, podman: Mapping[str, Answers], tmp_path: Path, busybox_image: str
) -> None:
    assert await firkins(name, tmp_path, busybox_image) == podman[name]


async def test_where_podman_differs_firkin_answers_as_kubernetes_does(
    podman: Mapping[str, Answers], tmp_path: Path, busybox_image: str
) -> None:
    answers = await firkins("kubernetes_only", tmp_path, busybox_image)
    assert answers == {
        "variables": Answer(0, "hello you $(NOBODY) $(GREETING)\n", ""),
        "anybody-writes": Answer(0, "written\n", ""),
        "aliases": Answer(0, "1\n", ""),
        "own-variable": Answer(0, "from the container\n", ""),
        "two-views": Answer(0, "/part:\nrenamed\n\n/whole:\nLEVEL\na.conf\n", ""),
    }
    # Podman runs it, and differs in one way or the other, depending on its version.
    assert podman["kubernetes_only"].keys() == answers.keys()


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if not service.not_by_podman])
def test_a_service_answers_by_podman_what_it_answers_by_firkin(
    name: str, services_of_podman: Mapping[str, str]
) -> None:
    """Each of them is asked by `test_services.py` as well, and gives the same answer there."""
    assert services_of_podman[name] == SERVICES[name].answer
