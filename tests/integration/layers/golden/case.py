"""What a golden layer is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from firkin.domain.layer_limits import LayerLimits

from .trees import Expected, Tree, tree


class Refused(NamedTuple):
    """That the last layer is refused (LayerRefused), and for what.

    Attributes:
        reason: a regular expression that is found in the reason, in any case of letters.
        entry: the entry as the error names it; None where the archive is at fault and not an entry.
    """

    reason: str
    entry: str | None = None


class Golden(NamedTuple):
    """Layers from the lowest to the highest, and exactly what becomes of them.

    Attributes:
        vouched: the layers are applied with their digests; without, an archive needs its end mark.
    """

    layers: tuple[bytes, ...]
    outcome: Tree | Refused
    limits: LayerLimits | None = None
    vouched: bool = True


def becomes(*layers: bytes, **nodes: Expected) -> Golden:
    """Layers that become these nodes, whose paths are words."""
    return Golden(layers, tree(nodes))


def become(layers: tuple[bytes, ...], nodes: Mapping[str, Expected] | Mapping[bytes, Expected]) -> Golden:
    """Layers that become these nodes."""
    return Golden(layers, tree(nodes))


def refused(reason: str, *layers: bytes, entry: str | None = None) -> Golden:
    """Layers of which the last one is refused."""
    return Golden(layers, Refused(reason, entry))
