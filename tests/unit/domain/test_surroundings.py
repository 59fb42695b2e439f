from __future__ import annotations

import pytest

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.guest_path import GuestPath
from firkin.domain.name_resolution import DnsConfig, HostEntry
from firkin.domain.pod_spec import PodBuilder
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.surroundings import Surroundings, file_mounts, name_files
from firkin.errors import InvalidPodSpec

POD = Surroundings(DnsConfig(["10.0.0.1"]), [HostEntry("10.0.0.9", ["db"])], {"kernel.sem": "1 2 3 4"})


def container() -> PodContainerSpec:
    return PodContainerSpec("c", RootfsSource.guest_path("/srv/root")).command("true")


def test_what_a_container_has_replaces_its_pods_as_a_whole() -> None:
    assert Surroundings().within(POD) == POD
    own = Surroundings(DnsConfig(searches=["a.test"]), (), {"kernel.shmmax": "5"}).within(POD)
    assert own.dns == DnsConfig(searches=["a.test"])
    assert own.hosts == ()
    assert own.ipc_sysctls == {"kernel.sem": "1 2 3 4", "kernel.shmmax": "5"}


def test_a_containers_setting_wins_over_its_pods() -> None:
    own = Surroundings(sysctls={"kernel/sem": "9"}).within(POD)
    assert own.ipc_sysctls == {"kernel.sem": "9"}
    network = Surroundings(sysctls={"net.core.somaxconn": "7", "kernel.sem": "1"})
    assert network.network_sysctls == {"net.core.somaxconn": "7"}


def test_files_lie_beside_the_rootfs_and_a_resolv_conf_only_when_it_was_asked_for() -> None:
    directory = GuestPath("/store/etc")
    files = name_files(Surroundings(), directory, "web", "pod-1")
    assert {file.destination: file.data.decode() for file in files} == {
        "/etc/hostname": "web\n",
        "/etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tweb pod-1\n",
    }
    assert [file.path for file in name_files(POD, directory, "web", "pod-1")] == [
        "/store/etc/hostname",
        "/store/etc/hosts",
        "/store/etc/resolv.conf",
    ]


def test_a_read_only_rootfs_has_read_only_files() -> None:
    files = name_files(Surroundings(), GuestPath("/store/etc"), "web", "web")
    assert all("ro" in mount.options for mount in file_mounts(files, read_only=True))
    assert not any("ro" in mount.options for mount in file_mounts(files, read_only=False))


def test_all_problems_are_told_with_their_places() -> None:
    builder = (
        PodBuilder("p")
        .dns(DnsConfig(["dns.test"]))
        .hosts(HostEntry("nowhere", ["a"]))
        .sysctl({"vm.swappiness": "1", "net.core.somaxconn": "5"})
        .container(container().sysctl({"net.core.somaxconn": "5"}).dns(DnsConfig(options=["a b"])))
    )
    with pytest.raises(InvalidPodSpec) as failure:
        builder.build()
    assert [(problem.where, problem.code) for problem in failure.value.problems] == [
        ("dns.nameservers[0]", "dns"),
        ("hosts[0].address", "hosts"),
        ("sysctls['vm.swappiness']", "sysctl"),
        ("containers[0].dns.options[0]", "dns"),
        ("containers[0].sysctls['net.core.somaxconn']", "sysctl"),
    ]
