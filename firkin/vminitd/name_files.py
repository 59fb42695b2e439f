"""resolv.conf and hosts below a directory, as SandboxContext asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from firkin.domain.errors import InvalidArgument, PathRefused
from firkin.domain.name_resolution import DnsConfig, HostEntry, dns_problems, hosts_file, hosts_problems, resolv_conf

from .filesystem.files import replace_in_root

_MODE = 0o644


def configure_dns(location: str, config: DnsConfig) -> None:
    """Write <location>/etc/resolv.conf in one step; a symlink of that name is replaced, not followed.

    Raises:
        InvalidArgument: something in it is none; all of it is told.
        PathRefused, StoreFull, AgentError: it cannot be written below the location.
    """
    _refuse(message for _, message in dns_problems(config))
    _write(location, "etc/resolv.conf", resolv_conf(config))


def configure_hosts(location: str, entries: Sequence[HostEntry], comment: str | None) -> None:
    """Write <location>/etc/hosts, as `configure_dns` does."""
    _refuse(message for _, message in hosts_problems(entries))
    if comment is not None and not comment.isprintable():
        raise InvalidArgument("a comment must be one line of printable characters")
    _write(location, "etc/hosts", hosts_file(entries, comment))


def _refuse(problems: Iterable[str]) -> None:
    told = "; ".join(problems)
    if told:
        raise InvalidArgument(told)


def _write(location: str, path: str, text: str) -> None:
    if not location.startswith("/") or "\0" in location:
        raise PathRefused(location, "it is not absolute")
    os.makedirs(location, 0o755, exist_ok=True)
    replace_in_root(location, path, text.encode(), _MODE)
