from __future__ import annotations

import pytest

from firkin.domain.sysctls import (
    container_sysctl_problems,
    is_namespaced_sysctl,
    is_sysctl_name,
    pod_sysctl_problems,
    sysctl_path,
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
    ],
)
def test_the_first_separator_separates(name: str, path: str) -> None:
    assert is_sysctl_name(name)
    assert sysctl_path(name) == path


@pytest.mark.parametrize("name", ["", "net", ".net", "net.", "net..a", "net/../vm/x", "net. x", "/net/x", "n\0.a"])
def test_what_is_no_name_leads_nowhere(name: str) -> None:
    assert not is_sysctl_name(name)
    assert [problem for problem, _ in pod_sysctl_problems({name: "1"})] == [name]


@pytest.mark.parametrize(
    "name", ["net.core.somaxconn", "kernel.shmmax", "kernel.msgmax", "kernel.sem", "fs.mqueue.msg_max"]
)
def test_a_pod_has_settings_of_its_namespaces(name: str) -> None:
    assert is_namespaced_sysctl(name)
    assert list(pod_sysctl_problems({name: "1"})) == []


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "kernel.core_pattern", "fs.file-max", "kernel.semx"])
def test_settings_of_the_whole_kernel_are_no_pods(name: str) -> None:
    assert not is_namespaced_sysctl(name)
    assert len(list(pod_sysctl_problems({name: "1"}))) == 1
    assert len(list(container_sysctl_problems({name: "1"}))) == 1


def test_a_container_has_none_of_the_network_that_it_shares() -> None:
    assert list(container_sysctl_problems({"kernel.shmmax": "1"})) == []
    ((name, message),) = container_sysctl_problems({"net.core.somaxconn": "1"})
    assert (name, "for the pod" in message) == ("net.core.somaxconn", True)


@pytest.mark.parametrize("value", ["", "1\n2", "ä", "\0"])
def test_a_value_is_one_line(value: str) -> None:
    assert len(list(pod_sysctl_problems({"kernel.sem": value}))) == 1
    assert list(pod_sysctl_problems({"kernel.sem": "250\t32000 32 128"})) == []
