"""Reading `hostAliases`, `dnsConfig`, `dnsPolicy` and the pod's `sysctls`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from firkin.domain.name_resolution import DnsConfig, HostEntry, dns_problems, hosts_problems
from firkin.domain.surroundings import Surroundings
from firkin.domain.sysctls import pod_sysctl_problems

from .nodes import Field, made


def read_surroundings(
    host_aliases: Field | None, dns_config: Field | None, dns_policy: Field | None, sysctls: Field | None
) -> Surroundings:
    """Read what a pod's containers find around them."""
    dns = None if dns_config is None else _dns(dns_config)
    _check_policy(dns_policy, dns)
    entries = [] if host_aliases is None else [entry for one in host_aliases.items() for entry in _aliases(one)]
    settings = [] if sysctls is None else [pair for one in sysctls.items() for pair in _sysctls(one)]
    return Surroundings(dns, None if host_aliases is None else entries, settings)


def _dns(field: Field) -> DnsConfig:
    fields = field.fields(("nameservers", "searches", "options"))
    options = [] if "options" not in fields else [_option(item) for item in fields["options"].items()]
    config = DnsConfig(_texts(fields.get("nameservers")), _texts(fields.get("searches")), filter(None, options))
    for name, message in dns_problems(config):
        fields.get(name.partition("[")[0], field).problem("invalid-value", message)
    return config


def _option(field: Field) -> str | None:
    fields = field.fields(("name", "value"))
    name = made(field.required(fields, "name"), str)
    value = made(fields.get("value"), str)
    return name if value is None or name is None else f"{name}:{value}"


def _check_policy(field: Field | None, dns: DnsConfig | None) -> None:
    policy = None if field is None else field.text()
    if field is None or policy is None:
        return
    if policy in ("ClusterFirst", "Default"):
        field.without_effect("there is neither a cluster nor a node to ask: names are looked up as dnsConfig says")
    elif policy != "None":
        field.problem("unsupported-value", "only None, ClusterFirst and Default are honoured")
    elif dns is None or not dns.nameservers:
        field.problem("invalid-value", "dnsPolicy None needs a dnsConfig with a nameserver")


def _aliases(field: Field) -> Iterator[HostEntry]:
    fields = field.fields(("ip", "hostnames"))
    address = made(field.required(fields, "ip"), str)
    field.required(fields, "hostnames")
    if address is None or "hostnames" not in fields:
        return
    entry = HostEntry(address, _texts(fields["hostnames"]))
    for place, message in hosts_problems([entry]):
        fields["ip" if place.endswith("address") else "hostnames"].problem("invalid-value", message)
    yield entry


def _sysctls(field: Field) -> Iterator[tuple[str, str]]:
    fields = field.fields(("name", "value"))
    name = made(field.required(fields, "name"), str)
    value = made(field.required(fields, "value"), str)
    if name is None or value is None:
        return
    for _, message in pod_sysctl_problems({name: value}):
        fields["name"].problem("unsupported-value", message)
    yield name, value


def _texts(field: Field | None) -> Iterable[str]:
    items = [] if field is None else field.items()
    return [text for item in items if (text := item.text()) is not None]
