"""Names, kernel settings and shared processes of a manifest."""

from __future__ import annotations

import pytest

from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.name_resolution import DnsConfig, HostEntry
from firkin.errors import ManifestError
from tests.unit.domain.values import bundle

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: pod}\nspec:\n  containers: [{name: c, image: i, command: [x]}]\n"


def problems(field: str) -> list[tuple[str, str]]:
    with pytest.raises(ManifestError) as failure:
        load_manifest(f"{HEAD}  {field}\n", "pod.yaml")
    return [(problem.where, problem.code) for problem in failure.value.problems]


async def test_names_settings_and_shared_processes_reach_the_pod() -> None:
    text = HEAD + (
        "  hostAliases: [{ip: 10.0.0.9, hostnames: [db, db.test]}]\n"
        "  dnsPolicy: 'None'\n"
        "  dnsConfig:\n"
        "    {nameservers: [10.0.0.2], searches: [a.test], options: [{name: ndots, value: '2'}, {name: rotate}]}\n"
        "  shareProcessNamespace: true\n"
        "  securityContext: {sysctls: [{name: net.core.somaxconn, value: '1024'}]}\n"
    )

    async def resolve(_: str) -> ImageBundle:
        return bundle(ImageConfig())

    spec = await pod_spec(load_manifest(text, "pod.yaml"), resolve)
    assert spec.surroundings.dns == DnsConfig(["10.0.0.2"], ["a.test"], ["ndots:2", "rotate"])
    assert spec.surroundings.hosts == (HostEntry("10.0.0.9", ["db", "db.test"]),)
    assert spec.surroundings.network_sysctls == {"net.core.somaxconn": "1024"}
    assert spec.shares_processes


@pytest.mark.parametrize(
    ("field", "where", "code"),
    [
        ("hostAliases: [{ip: nowhere, hostnames: [a]}]", "spec.hostAliases[0].ip", "invalid-value"),
        ("hostAliases: [{ip: 10.0.0.1, hostnames: [a b]}]", "spec.hostAliases[0].hostnames", "invalid-value"),
        ("hostAliases: [{ip: 10.0.0.1}]", "spec.hostAliases[0]", "missing-field"),
        ("dnsConfig: {nameservers: [dns.test]}", "spec.dnsConfig.nameservers", "invalid-value"),
        ("dnsConfig: {options: [{value: x}]}", "spec.dnsConfig.options[0]", "missing-field"),
        ("dnsConfig: {server: x}", "spec.dnsConfig.server", "unknown-field"),
        ("dnsPolicy: ClusterFirstWithHostNet", "spec.dnsPolicy", "unsupported-value"),
        ("dnsPolicy: 'None'", "spec.dnsPolicy", "invalid-value"),
        ("shareProcessNamespace: 'yes'", "spec.shareProcessNamespace", "wrong-type"),
        (
            "securityContext: {sysctls: [{name: vm.swappiness, value: '1'}]}",
            "spec.securityContext.sysctls[0].name",
            "unsupported-value",
        ),
    ],
)
def test_what_cannot_be_honoured_is_told_at_its_place(field: str, where: str, code: str) -> None:
    assert problems(field) == [(where, code)]
