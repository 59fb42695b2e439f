"""A runtime spec on a machine that forbids part of it: fitted where nothing is lost, refused where something is."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

import msgspec

from firkin.domain.control_groups import missing_controller
from firkin.domain.errors import UnsupportedFeature, UserNotMapped

from .user_namespace import in_user_namespace

_LIMITS = (("memory", "limit"), ("cpu", "quota"), ("pids", "limit"))
_UNLIMITED = (None, 0, -1)


def mapped_groups_option(options: Sequence[str], groups: Container[int]) -> list[str]:
    """The options of a mount without a `gid=` that has no mapping (that of devpts is 5): root's group then has it."""
    return [option for option in options if not _names_unmapped_group(option, groups)]


def _names_unmapped_group(option: str, groups: Container[int]) -> bool:
    name, _, value = option.partition("=")
    return name == "gid" and value.isdecimal() and int(value) not in groups


def refuse_unmapped_user(
    user: str, uid: int, gids: Iterable[int], users: Container[int], groups: Container[int]
) -> None:
    """Refuse a process whose user or group is nobody's id on the host.

    Raises:
        UserNotMapped: with the first such id.
    """
    if uid not in users:
        raise UserNotMapped(user or str(uid), f"uid {uid}")
    unmapped = next((gid for gid in gids if gid not in groups), None)
    if unmapped is not None:
        raise UserNotMapped(user or str(uid), f"gid {unmapped}")


def refuse_limits(resources: dict[str, msgspec.Raw], controllers: Container[str]) -> None:
    """Refuse limits that nothing here would enforce.

    Raises:
        UnsupportedFeature: a controller is missing.
    """
    for controller, setting in _LIMITS:
        wanted = msgspec.json.decode(resources.get(controller, msgspec.Raw(b"{}")))
        if isinstance(wanted, dict) and wanted.get(setting) not in _UNLIMITED and controller not in controllers:
            reason = missing_controller(controller, is_root=not in_user_namespace())
            raise UnsupportedFeature(f"a container's {controller} limit", reason)
