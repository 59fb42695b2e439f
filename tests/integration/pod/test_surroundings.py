"""DNS, hosts, host names and kernel settings of real containers, over both services of the agent."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from firkin import DnsConfig, HostEntry
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.errors import AgentError

from .pods import shell

pytestmark = pytest.mark.real_time

_STANDARD = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tpod-1\n"


@pytest.fixture(params=["agent-v1", "sandbox-context"])
def agents(request: pytest.FixtureRequest) -> GrpcAgentConnector:
    return GrpcAgentConnector(prefer_agent_v1=request.param == "agent-v1")


@contextlib.asynccontextmanager
async def _runtime(directory: Path, agents: GrpcAgentConnector) -> AsyncIterator[firkin.Runtime]:
    config = firkin.RuntimeConfig(
        store="directory", state_dir=directory / "state", runtime_dir=directory / "run", agents=agents
    )
    async with firkin.open_runtime(config) as runtime:
        yield runtime


async def test_names_of_a_pod_and_those_that_a_container_has_instead(
    tmp_path: Path, busybox_image: str, agents: GrpcAgentConnector
) -> None:
    script = "cat /etc/resolv.conf; echo -; cat /etc/hosts; echo -; cat /etc/hostname; hostname"
    async with _runtime(tmp_path, agents) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = (
            firkin.PodBuilder("pod-1")
            .dns(DnsConfig(["10.0.0.2", "10.0.0.3"], ["a.test"], ["ndots:2"]))
            .hosts(HostEntry("10.0.0.9", ["db", "db.test"]))
            .container(shell("pods", bundle, script))
            .container(shell("read-only", bundle, f"{script}; : > /etc/hosts").read_only_rootfs())
            .container(
                shell("own", bundle, script)
                .dns(DnsConfig(["10.0.0.4"]))
                .hosts(HostEntry("10.0.0.8", ["cache"]))
                .hostname("own-name")
            )
        )
        async with runtime.spawn(spec.build()) as pod:
            pods = await pod.wait_container("pods")
            read_only = await pod.wait_container("read-only")
            own = await pod.wait_container("own")
    resolv_conf = "nameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch a.test\noptions ndots:2\n"
    expected = f"{resolv_conf}-\n{_STANDARD}10.0.0.9\tdb db.test\n-\npod-1\npod-1\n"
    assert (pods.status.code, pods.stdout.decode()) == (0, expected)
    assert (read_only.status.success, read_only.stdout.decode()) == (False, expected)
    assert own.stdout.decode() == (
        "nameserver 10.0.0.4\n-\n"
        + _STANDARD.replace("\tpod-1", "\town-name pod-1")
        + "10.0.0.8\tcache\n-\nown-name\nown-name\n"
    )


async def test_without_any_configuration_a_container_knows_itself_and_the_image_stays_as_it_is(
    tmp_path: Path, busybox_image: str, agents: GrpcAgentConnector
) -> None:
    script = "cat /etc/hosts; test -e /etc/resolv.conf; echo $?; echo mine >> /etc/hosts; nc -z -w 1 pod-1 9; echo $?"
    async with _runtime(tmp_path, agents) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            for name in ("one", "two"):
                await pod.add_container(shell(name, bundle, script))
                output = await pod.wait_container(name)
                # What the first one appended to its file is not in the second one's.
                assert output.stdout.decode() == f"{_STANDARD}1\n1\n"
            await pod.remove_container("one")
        template = next((tmp_path / "state").glob("**/templates/*/rootfs/etc"))
    assert sorted(path.name for path in template.iterdir()) == ["group", "passwd"]


async def test_a_container_may_have_a_mount_of_its_own_in_place_of_such_a_file(
    tmp_path: Path, busybox_image: str, agents: GrpcAgentConnector
) -> None:
    (tmp_path / "hosts").write_text("10.9.9.9 own\n")
    async with _runtime(tmp_path, agents) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        async with runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
            own = firkin.Mount("/etc/hosts", "bind", str(tmp_path / "hosts"), ("bind", "ro"))
            await pod.add_container(shell("one", bundle, "cat /etc/hosts").mount(own))
            assert (await pod.wait_container("one")).stdout == b"10.9.9.9 own\n"


async def test_kernel_settings_of_a_pod_and_of_a_container(
    tmp_path: Path, busybox_image: str, agents: GrpcAgentConnector
) -> None:
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax /proc/sys/kernel/shmmni"
    outside = _setting("net/ipv4/ip_unprivileged_port_start"), _setting("kernel/shmmax")
    async with _runtime(tmp_path, agents) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = (
            firkin.PodBuilder("pod-1")
            .sysctl({"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shmmax": "123456", "kernel.shmmni": "77"})
            .container(shell("pods", bundle, script))
            .container(shell("own", bundle, script).sysctl({"kernel.shmmax": "654321"}))
        )
        async with runtime.spawn(spec.build()) as pod:
            assert (await pod.wait_container("pods")).stdout == b"80\n123456\n77\n"
            assert (await pod.wait_container("own")).stdout == b"80\n654321\n77\n"
    assert outside == (_setting("net/ipv4/ip_unprivileged_port_start"), _setting("kernel/shmmax"))


async def test_a_setting_that_the_kernel_does_not_know_fails_the_pod_by_its_name(
    tmp_path: Path, busybox_image: str, agents: GrpcAgentConnector
) -> None:
    async with _runtime(tmp_path, agents) as runtime:
        with pytest.raises(AgentError) as failure:
            await runtime.spawn(firkin.PodBuilder("pod-1").sysctl({"net.no.such": "1"}).build())
    assert failure.value.path == "/proc/sys/net/no/such"


def _setting(name: str) -> str:
    return Path("/proc/sys", name).read_text()
