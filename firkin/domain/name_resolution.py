"""What a container finds in /etc/resolv.conf, /etc/hosts and /etc/hostname (resolv.conf(5), hosts(5))."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

NAMESERVERS_LIMIT = 3
_SEARCHES_LIMIT = 32
_SEARCH_BYTES = 2048
_NAME = re.compile(r"(?=.{1,253}\.?\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_OPTION = re.compile(r"[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9._-]{1,64})?")


class DnsConfig(msgspec.Struct, frozen=True):
    """How names are looked up; a container's own replaces its pod's as a whole.

    Attributes:
        nameservers: IPv4 or IPv6 addresses, at most three, asked in this order.
        searches: domains that are appended to short names.
        options: words of resolv.conf(5), such as `ndots:2`.
        domain: the local domain; the last of `domain` and `search` counts, so few need it.
    """

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    domain: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            nameservers: Iterable[str] = (),
            searches: Iterable[str] = (),
            options: Iterable[str] = (),
            domain: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("nameservers", "searches", "options"):
            force_setattr(self, name, tuple(getattr(self, name)))


class HostEntry(msgspec.Struct, frozen=True):
    """A line of /etc/hosts: an address, its names, and perhaps a comment."""

    address: str
    names: tuple[str, ...]
    comment: str | None = None

    if TYPE_CHECKING:

        def __init__(self, address: str, names: Iterable[str], comment: str | None = None) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "names", tuple(self.names))


def dns_problems(config: DnsConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for everything that resolv.conf(5) could not take."""
    for index, server in enumerate(config.nameservers):
        if not _is_address(server):
            yield f"nameservers[{index}]", f"nameserver {server!r} is not an IP address"
    if len(config.nameservers) > NAMESERVERS_LIMIT:
        yield "nameservers", f"resolvers ask at most {NAMESERVERS_LIMIT} nameservers, not {len(config.nameservers)}"
    for index, search in enumerate(config.searches):
        if search != "." and not _NAME.fullmatch(search):
            yield f"searches[{index}]", f"search domain {search!r} is not a domain name"
    if len(config.searches) > _SEARCHES_LIMIT or sum(len(one) + 1 for one in config.searches) > _SEARCH_BYTES:
        yield "searches", f"there may be {_SEARCHES_LIMIT} search domains of {_SEARCH_BYTES} characters altogether"
    for index, option in enumerate(config.options):
        if not _OPTION.fullmatch(option):
            yield f"options[{index}]", f"option {option!r} is not a word or `word:value`"
    if config.domain is not None and not _NAME.fullmatch(config.domain):
        yield "domain", f"domain {config.domain!r} is not a domain name"


def hosts_problems(entries: Iterable[HostEntry]) -> Iterator[tuple[str, str]]:
    """Yield (field, sentence) for everything that hosts(5) could not take."""
    for index, entry in enumerate(entries):
        if not _is_address(entry.address):
            yield f"[{index}].address", f"{entry.address!r} is not an IP address"
        if not entry.names:
            yield f"[{index}].names", f"address {entry.address!r} has no host name"
        for name in entry.names:
            if not _NAME.fullmatch(name):
                yield f"[{index}].names", f"{name!r} is not a host name"
        if entry.comment is not None and not entry.comment.isprintable():
            yield f"[{index}].comment", "a comment must be one line of printable characters"


def resolv_conf(config: DnsConfig) -> str:
    """The text of /etc/resolv.conf."""
    lines = [f"nameserver {server}" for server in config.nameservers]
    if config.domain is not None:
        lines.append(f"domain {config.domain}")
    if config.searches:
        lines.append(f"search {' '.join(config.searches)}")
    if config.options:
        lines.append(f"options {' '.join(config.options)}")
    return "".join(f"{line}\n" for line in lines)


def hosts_file(entries: Iterable[HostEntry], comment: str | None = None) -> str:
    """The text of /etc/hosts."""
    lines = [] if comment is None else [f"# {comment}"]
    for entry in entries:
        remark = f" # {entry.comment}" if entry.comment else ""
        lines.append(f"{entry.address}\t{' '.join(entry.names)}{remark}")
    return "".join(f"{line}\n" for line in lines)


def standard_hosts(*host_names: str) -> tuple[HostEntry, ...]:
    """What every container can look up: the loopback interface of its pod, and itself by `host_names`."""
    names = (short for name in host_names for short in (name, name.partition(".")[0]))
    return (
        HostEntry("127.0.0.1", ("localhost",)),
        HostEntry("::1", ("localhost", "ip6-localhost", "ip6-loopback")),
        HostEntry("127.0.0.1", dict.fromkeys(names)),
    )


def _is_address(text: str) -> bool:
    address, percent, zone = text.partition("%")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return False
    return not percent or (version == 6 and re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", zone) is not None)
