from __future__ import annotations

import pytest

from firkin.domain.name_resolution import (
    DnsConfig,
    HostEntry,
    dns_problems,
    hosts_file,
    hosts_problems,
    resolv_conf,
    standard_hosts,
)


def test_a_resolv_conf_has_one_line_per_nameserver_and_one_per_list() -> None:
    config = DnsConfig(["10.0.0.2", "fe80::1%eth0"], ["a.test", "b.test."], ["ndots:2", "rotate"], "a.test")
    assert list(dns_problems(config)) == []
    assert resolv_conf(config) == (
        "nameserver 10.0.0.2\nnameserver fe80::1%eth0\ndomain a.test\nsearch a.test b.test.\noptions ndots:2 rotate\n"
    )


def test_an_empty_configuration_is_an_empty_file() -> None:
    assert resolv_conf(DnsConfig()) == ""
    assert hosts_file(()) == ""


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (DnsConfig(["dns.test"]), "nameservers[0]"),
        (DnsConfig(["10.0.0.1", "10.0.0"]), "nameservers[1]"),
        (DnsConfig(["10.0.0.1%eth0"]), "nameservers[0]"),
        (DnsConfig(["fe80::1%a b"]), "nameservers[0]"),
        (DnsConfig(["10.0.0.1"] * 4), "nameservers"),
        (DnsConfig(searches=["a b"]), "searches[0]"),
        (DnsConfig(searches=["a\noptions x"]), "searches[0]"),
        (DnsConfig(searches=[""]), "searches[0]"),
        (DnsConfig(searches=["a.test"] * 33), "searches"),
        (DnsConfig(options=["ndots: 2"]), "options[0]"),
        (DnsConfig(domain="x\n"), "domain"),
        (DnsConfig(domain=""), "domain"),
    ],
)
def test_what_would_not_stay_one_word_or_is_no_address_is_told(config: DnsConfig, field: str) -> None:
    assert [problem[0] for problem in dns_problems(config)] == [field]


def test_a_host_entry_is_a_line() -> None:
    entries = [HostEntry("10.0.0.3", ["db", "db.test"], "the data"), HostEntry("::1", ["localhost"])]
    assert list(hosts_problems(entries)) == []
    assert hosts_file(entries, "made") == "# made\n10.0.0.3\tdb db.test # the data\n::1\tlocalhost\n"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (HostEntry("nowhere", ["a"]), "[0].address"),
        (HostEntry("10.0.0.1", []), "[0].names"),
        (HostEntry("10.0.0.1", ["a b"]), "[0].names"),
        (HostEntry("10.0.0.1", ["a#"]), "[0].names"),
        (HostEntry("10.0.0.1", ["a"], "one\ntwo"), "[0].comment"),
    ],
)
def test_an_entry_that_is_no_line_of_hosts_is_told(entry: HostEntry, field: str) -> None:
    assert [problem[0] for problem in hosts_problems([entry])] == [field]


def test_every_container_finds_itself_and_its_loopback_interface() -> None:
    lines = hosts_file(standard_hosts("web.test", "pod-1")).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-1] == "127.0.0.1\tweb.test web pod-1"
    assert list(hosts_problems(standard_hosts("pod-1"))) == []
