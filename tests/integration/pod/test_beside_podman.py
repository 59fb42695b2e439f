"""The same manifests by firkin and by `podman kube play`, answers compared; and what podman 4.3.1 does otherwise."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

import firkin
from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.process import Stdio, StdioOptions

from .manifests import manifests, manifests_directory, output_of, pattern
from .podman_plays import Answer, Play, Played, asked_of, played_by_podman
from .service_manifests import NO_SIDECARS, SERVICES, Service

pytestmark = pytest.mark.real_time

_COMPARED = Path(__file__).parent / "compared"
_RUN_TO_THEIR_END = ("environment", "network", "process", "security", "volumes", "sidecar")
_FIRKIN_SECONDS = 120

_SURROUNDINGS = r"""
hostname
grep -w db /etc/hosts | tr '\t' ' '
grep nameserver /etc/resolv.conf
until [ "$(ps -o args | grep -c '^sleep [0-9]*$')" = 2 ]; do sleep 0.05; done
ps -o args | grep -o '^sleep [0-9]*$' | sort
"""
_SETTING = "cat /proc/sys/net/core/somaxconn"

# Each is asked beside podman.
_ASK_FAILING = """
podman logs failing-check 2>&1
podman inspect --format '{{.Name}}: {{.State.Status}} {{.State.ExitCode}}' failing-check failing-main
"""
_ASK_RESTARTS = """
state() { podman inspect --format '{{.State.Status}} {{.State.ExitCode}}' restarts-main; }
until [ "$(state)" = 'exited 0' ]; do sleep 0.05; done
podman inspect --format '{{.RestartCount}} restarts' restarts-main
"""
_ASK_HANGS = """
began() { podman inspect --format '{{.State.Running}} {{.State.StartedAt}}' hangs-main; }
first=$(began)
until podman exec hangs-main rm /healthy; do sleep 0.05; done
until [[ $(began) = true* && $(began) != "$first" ]]; do podman healthcheck run hangs-main > /dev/null || true; done
until podman exec hangs-main ls /healthy 2> /dev/null; do sleep 0.05; done
"""
_ASK_HOOKS = """
until podman exec hooks-main ls /up; do sleep 0.05; done > /dev/null 2>&1
podman stop hooks-main > /dev/null
podman exec hooks-reader cat /n/all
"""


def _plays(host: Path) -> Mapping[str, Play]:
    compared = {path.stem: Play(path.read_text().replace("HOST", str(host))) for path in _COMPARED.glob("*.yaml")}
    ended = {
        name: Play(pattern(name))
        for name in ("sidecar", "full", "root", "variables", "facts", "secrets", "with_sidecar")
    }
    asked = {
        "failing": Play(pattern("failing"), _ASK_FAILING),
        "restarts": Play(pattern("restarts"), _ASK_RESTARTS),
        "hangs": Play(pattern("hangs"), _ASK_HANGS),
        "hooks": Play(pattern("hooks"), _ASK_HOOKS),
        "surroundings": Play(
            pattern("surroundings"),
            asked_of("surroundings-two", "sh", "true", _SURROUNDINGS + _SETTING),
            network=True,
        ),
    }
    return {**compared, **ended, **asked, **{name: _service_play(service) for name, service in SERVICES.items()}}


def _service_play(service: Service) -> Play:
    ask = asked_of(f"{service.name}-{service.container}", "bash", service.awaited, service.question)
    return Play(service.manifest, ask, network=True)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory, busybox_image: str, services_image: str) -> Mapping[str, Played]:
    """What came of each manifest, by its name; all are played before the first test, in one go."""
    # Skipped by name, which CI takes for a failure.
    if shutil.which("podman") is None:
        pytest.skip("podman is missing: run `apt-get install podman catatonit`")
    base = tmp_path_factory.mktemp("podman")
    plays = _plays(_host_directory(base))
    return played_by_podman(base / "plays", {"BUSYBOX": busybox_image, "SERVICES": services_image}, plays)


def _host_directory(base: Path) -> Path:
    host = base / "host"
    host.mkdir()
    (host / "file").write_text("of the host\n")
    return host


async def _by_firkin(text: str, image: str, directory: Path) -> Mapping[str, Answer]:
    """What comes of a manifest by firkin, by container."""
    host = _host_directory(directory)
    text = text.replace("BUSYBOX", f'"{image}"').replace("HOST", str(host))
    config = firkin.RuntimeConfig(
        store="directory", state_dir=directory / "state", runtime_dir=directory / "run", allow_host_paths=(host,)
    )
    piped = StdioOptions(stdout=Stdio.PIPED, stderr=Stdio.PIPED)
    async with firkin.open_runtime(config) as runtime, asyncio.timeout(_FIRKIN_SECONDS):
        spec = await pod_spec(load_manifest(text, "pod.yaml", [str(host)]), runtime.images.resolve, stdio=piped)
        async with runtime.spawn(spec) as pod:
            outputs = {one.id: await one.wait_with_output() for one in pod.containers()} | dict(pod.init_outputs)
    return {
        container: Answer(output.status.code, output.stdout.decode(), output.stderr.decode())
        for container, output in outputs.items()
    }


def _text(name: str) -> str:
    path = _COMPARED / f"{name}.yaml"
    return path.read_text() if path.exists() else pattern(name)


def test_every_manifest_is_played_but_the_one_that_must_not_start(tmp_path: Path) -> None:
    here = Path(__file__).parent
    kept = {
        path.stem for directory in ("compared", "patterns", "services") for path in here.glob(f"{directory}/*.yaml")
    }
    # Its container is privileged, and has the host's /etc: firkin refuses it, and podman would start it.
    assert kept - {"greedy"} == _plays(tmp_path).keys()


@pytest.mark.parametrize("name", _RUN_TO_THEIR_END)
async def test_a_manifest_is_answered_as_podman_answers_it(
    name: str, podman: Mapping[str, Played], tmp_path: Path, busybox_image: str
) -> None:
    assert await _by_firkin(_text(name), busybox_image, tmp_path) == podman[name].containers


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if not service.refused_by_podman])
def test_a_service_answers_by_podman_what_it_answers_by_firkin(name: str, podman: Mapping[str, Played]) -> None:
    """Each of them is asked by `test_services.py` as well, and gives the same answer there."""
    assert (podman[name].answer, podman[name].code) == (SERVICES[name].answer, 0), podman[name].told


async def test_what_surrounds_a_container_is_told_by_both_alike(
    podman: Mapping[str, Played], tmp_path_factory: pytest.TempPathFactory, services_image: str, busybox_image: str
) -> None:
    directory = manifests_directory(tmp_path_factory)
    async with (
        manifests(directory, services_image, busybox_image) as it,
        it.running(pattern("surroundings")) as pod,
    ):
        told = await output_of(pod, "two", "sh", "-ec", _SURROUNDINGS)
        setting = await output_of(pod, "two", "sh", "-ec", _SETTING)
    assert setting == "1234\n"
    # podman 4.3.1 passes over the pod's sysctls; one that does not would have the setting here.
    answer, _, podmans_setting = podman["surroundings"].answer.removesuffix("\n").rpartition("\n")
    assert f"{answer}\n" == told, podman["surroundings"]
    assert podmans_setting != "1234"


# What `test_manifests.py` shows of firkin.


def test_a_pod_whose_init_container_fails_does_not_start_by_podman_either(podman: Mapping[str, Played]) -> None:
    failing = podman["failing"]
    assert failing.answer == "no database\nfailing-check: exited 3\nfailing-main: created 0\n", failing
    assert "exited with code 3" in failing.told


def test_podman_too_starts_a_container_that_fails_again_and_one_that_succeeds_not(
    podman: Mapping[str, Played],
) -> None:
    assert podman["restarts"].answer == "2 restarts\n", podman["restarts"]


def test_podman_too_starts_a_container_again_that_fails_its_probe(podman: Mapping[str, Played]) -> None:
    assert podman["hangs"].answer == "/healthy\n", podman["hangs"]


# What podman 4.3.1 does otherwise than Kubernetes and firkin. Where one of these fails, a newer podman can: compare it.


async def test_where_podman_answers_otherwise_firkin_answers_as_kubernetes_does(
    podman: Mapping[str, Played], tmp_path: Path, busybox_image: str
) -> None:
    answers = await _by_firkin(_text("kubernetes_only"), busybox_image, tmp_path)
    assert answers == {
        "first": Answer(0, "", ""),
        "variables": Answer(0, "hello you $(NOBODY) $(GREETING)\n", ""),
        "anybody-writes": Answer(0, "written\n", ""),
        "own-variable": Answer(0, "from the container\n", ""),
        "two-views": Answer(0, "/part:\nrenamed\n\n/whole:\nLEVEL\na.conf\n", ""),
    }
    both = "LEVEL\na.conf\nrenamed\n"
    assert podman["kubernetes_only"].containers == {
        "first": Answer(0, "", ""),
        "variables": Answer(0, "$(GREETING) $(NOBODY) $$(GREETING)\n", ""),
        "anybody-writes": Answer(1, "", "touch: /s/x: Permission denied\n"),
        "own-variable": Answer(0, "from the map\n", ""),
        "two-views": Answer(0, f"/part:\n{both}\n/whole:\n{both}", ""),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, service.refused_by_podman) for name, service in SERVICES.items() if service.refused_by_podman),
        ("with_sidecar", NO_SIDECARS),
        ("variables", "fieldPath metadata.namespace is either not valid or not supported"),
        ("facts", 'failed to create volume "facts": HostPath, ConfigMap, EmptyDir, and PersistentVolumeClaim are'),
        # A volume of a Secret that does not say whether it is optional.
        ("secrets", "nil pointer dereference"),
    ],
)
def test_podman_refuses_what_firkin_runs(name: str, words: str, podman: Mapping[str, Played]) -> None:
    assert words in podman[name].told
    assert podman[name].answer == ""
    assert podman[name].containers == {}


def test_podman_runs_what_firkin_refuses_or_bounds(podman: Mapping[str, Played]) -> None:
    """`runAsNonRoot` with an image of root's, an emptyDir with a limit, and hooks, which it leaves out."""
    assert podman["root"].containers["main"].stdout.startswith("uid=0(root)")
    assert podman["full"].containers["main"] == Answer(1, "", "")
    assert podman["hooks"].answer == "term\n", podman["hooks"]
