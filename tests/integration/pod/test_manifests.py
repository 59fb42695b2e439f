"""Manifests as people write them for Kubernetes, run for real."""

from __future__ import annotations

from pathlib import Path

import pytest

import firkin
from firkin.errors import InitContainerFailed, ManifestError

from .manifests import manifests, manifests_directory, output_of, pattern, until_ready
from .service_manifests import SERVICES

pytestmark = pytest.mark.real_time


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests, so that the images are unpacked once."""
    return manifests_directory(tmp_path_factory)


@pytest.mark.needs_ids
async def test_nginx_with_its_configuration_in_a_config_map(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = SERVICES["nginx"].manifest
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        await until_ready(pod.container("nginx"))
        page = await output_of(pod, "client", "wget", "-qO-", "http://127.0.0.1:8080/index.html")
        assert page == "it works\n"
        assert await output_of(pod, "nginx", "id", "-u") == "33\n"
        refused = await (await pod.container("nginx").exec("touch", "/srv/index.html", user=0)).wait_with_output()
        assert b"Read-only file system" in refused.stderr
        report = await pod.stop()
        assert report.containers[0].status == firkin.ExitStatus(0), report


@pytest.mark.needs_ids
async def test_redis_with_its_password_in_a_secret(directory: Path, services_image: str, busybox_image: str) -> None:
    text = SERVICES["redis"].manifest
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        await until_ready(pod.container("redis"))
        assert await output_of(pod, "redis", "redis-cli", "-a", "hunter2", "set", "key", "value") == "OK\n"
        assert await output_of(pod, "redis", "bash", "-c", "redis-cli -a $PASSWORD get key") == "value\n"
        assert "NOAUTH" in await output_of(pod, "redis", "redis-cli", "get", "key")
        assert await output_of(pod, "redis", "stat", "-c", "%g %a", "/data") == "4242 2777\n"
        assert await output_of(pod, "redis", "bash", "-c", "stat -c %g /data/appendonlydir; id -G") == "4242\n0 4242\n"
        assert 16 * 2**20 > (await pod.empty_dir_usage("data")).used_bytes > 0


async def test_an_init_container_prepares_what_a_sidecar_feeds_to_the_main_one(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("sidecar")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"first\nsecond\n"
        assert {name: output.stdout for name, output in pod.init_outputs.items()} == {"make": b"", "fill": b"filled\n"}


async def test_a_pod_whose_init_container_fails_does_not_start(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("failing")
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(InitContainerFailed, match="no database") as failed:
            async with it.running(text):
                pass
        assert (failed.value.container_id, failed.value.status) == ("check", "exit code 3")


@pytest.mark.needs_root
async def test_variables_of_every_source(directory: Path, services_image: str, busybox_image: str) -> None:
    text = pattern("variables")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        line = (await pod.wait_container("main")).stdout.decode()
        assert line == "debug red variables place front 127.0.0.1 32 hello variables\n"


@pytest.mark.needs_ids
async def test_secrets_are_files_of_their_modes_and_groups(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("secrets")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        output = await pod.wait_container("main")
        assert output.stdout.decode().splitlines() == ["secret 440 2000", "ssh", "1000 2000 3000"]
        assert b"Read-only file system" in output.stderr


async def test_a_container_that_fails_is_started_again_and_one_that_succeeds_is_not(
    directory: Path, services_image: str, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firkin.domain.restarting.FIRST_PAUSE_SECONDS", 0.1)
    text = pattern("restarts")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.container("main").wait_finished()).success
        assert pod.container("main").restart_count == 2


async def test_a_container_that_hangs_is_found_by_its_liveness_probe(
    directory: Path, services_image: str, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firkin.domain.restarting.FIRST_PAUSE_SECONDS", 0.1)
    text = pattern("hangs")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        container = pod.container("main")
        await until_ready(container)
        assert (await (await container.exec("rm", "/healthy")).wait()).success
        assert container.restart_count == 0
        assert await container.wait_restarted()
        assert container.restart_count == 1


async def test_hooks_run_in_their_container(directory: Path, services_image: str, busybox_image: str) -> None:
    text = pattern("hooks")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.container("main").stop()).success
        assert await output_of(pod, "reader", "cat", "/n/all") == "start\nstop\nterm\n"
        await pod.stop(0)


async def test_names_kernel_settings_and_processes_of_a_pod(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("surroundings")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert await output_of(pod, "two", "hostname") == "box\n"
        hosts = await output_of(pod, "two", "cat", "/etc/hosts")
        assert ["10.1.2.3", "db"] in [line.split() for line in hosts.splitlines()]
        assert "nameserver 10.0.0.53" in await output_of(pod, "two", "cat", "/etc/resolv.conf")
        assert await output_of(pod, "two", "cat", "/proc/sys/net/core/somaxconn") == "1234\n"
        # It may still be what it is started by.
        while "sleep 4321" not in await output_of(pod, "two", "ps", "-o", "args"):
            pass


@pytest.mark.needs_root
async def test_a_limited_volume_of_a_manifest_is_full_at_its_limit(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("full")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"No space left\n"


async def test_a_manifest_that_asks_for_more_than_there_is_is_refused_before_anything_boots(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("greedy")
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(ManifestError) as refused:
            async with it.running(text):
                pass
        assert [problem.where for problem in refused.value.problems] == [
            "spec.hostNetwork",
            "spec.volumes[0].hostPath.path",
            "spec.containers[0].securityContext.privileged",
        ]


async def test_a_container_that_must_not_be_root_is_refused_when_its_image_says_root(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("root")
    async with manifests(directory, services_image, busybox_image) as it:
        with pytest.raises(ManifestError, match="give runAsUser a number other than 0"):
            async with it.running(text):
                pass


async def test_a_sidecar_is_up_before_the_others_and_serves_them_to_their_end(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("with_sidecar")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        assert (await pod.wait_container("main")).stdout == b"page\npage\n.\n./server\n./server/logs\n"
        assert pod.container("server").ready
        report = await pod.stop()
        assert [(one.container_id, str(one.status)) for one in report.containers] == [
            ("server", "exit code 0"),
            ("main", "exit code 0"),
        ]


async def test_what_kubernetes_tells_a_pod_of_itself_is_in_its_files(
    directory: Path, services_image: str, busybox_image: str
) -> None:
    text = pattern("facts")
    async with manifests(directory, services_image, busybox_image) as it, it.running(text) as pod:
        output = await pod.wait_container("main")
        assert output.stdout == b'app="web"\ntier="front"\ndebug 400\n'
        assert b"Read-only file system" in output.stderr
