"""What takes space and can be made again, and deciding what of it goes."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec


class ReclaimableKind(enum.StrEnum):
    """What takes the space."""

    PARTIAL = "partial file"
    BLOB = "blob"
    CACHED_LAYER = "cached layer"
    TEMPLATE = "template"
    GUEST_IMAGE = "guest image"
    GUEST_KERNEL = "guest kernel"

    @property
    def is_rubbish(self) -> bool:
        """True for what nothing can use any more."""
        return self in (ReclaimableKind.PARTIAL, ReclaimableKind.BLOB)


class Reclaimable(msgspec.Struct, frozen=True):
    """One thing that takes space.

    Attributes:
        identity: its digest, chain id, key or file name.
        last_used: seconds since 1970.
        held: why it cannot be removed now, in words; "" when it can.
        below: the identity of the template that a layer alone lies on; "" for everything else.
        replaced: of a template, what is not in it as it is in the image, with its count (see `ImageUnpacked`).
    """

    kind: ReclaimableKind
    identity: str
    size_bytes: int
    last_used: float
    held: str = ""
    below: str = ""
    replaced: Mapping[str, int] = {}


class Reclaiming(msgspec.Struct, frozen=True):
    """What is to become of one item, and why."""

    item: Reclaimable
    is_removed: bool
    reason: str


def planned_reclaiming(items: Iterable[Reclaimable], keep_bytes: int) -> tuple[Reclaiming, ...]:
    """Decide what to remove so that what is left is at most `keep_bytes`, as far as it can be removed.

    Rubbish always goes; of the rest, what was not used for the longest time goes first.
    """
    listed = sorted(items, key=lambda item: (not item.kind.is_rubbish, item.last_used))
    kept_bytes = sum(item.size_bytes for item in listed)
    decisions: list[Reclaiming] = []
    for item in listed:
        decision = _decision(item, kept_bytes, keep_bytes)
        kept_bytes -= item.size_bytes if decision.is_removed else 0
        decisions.append(decision)
    return tuple(decisions)


def _decision(item: Reclaimable, kept_bytes: int, keep_bytes: int) -> Reclaiming:
    if item.held:
        return Reclaiming(item, False, item.held)
    if item.kind.is_rubbish:
        unused = "no image refers to it" if item.kind is ReclaimableKind.BLOB else "whoever wrote it is gone"
        return Reclaiming(item, True, unused)
    if kept_bytes <= keep_bytes:
        return Reclaiming(item, False, "it fits within what is to be kept")
    return Reclaiming(item, True, "nothing uses it" if not keep_bytes else "least recently used of what is too much")
