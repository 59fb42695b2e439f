"""What a layer may amount to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_MOST = 2**62


class LayerLimits(NamedTuple):
    """What a layer may amount to; generous, but finite.

    Attributes:
        entries: in one layer.
        name_bytes: of a name or a link's target (PATH_MAX is 4096).
        header_bytes: of one pax or GNU header's contents, and of an entry's pax header together with global ones.
        depth: components of a name.
        tar_bytes: of the whole archive, decompressed.
        expansion: bytes of the archive for each byte of the blob (gzip cannot exceed 1032).
        expansion_free_bytes: of the archive, before its expansion counts.
        window_bytes: that a zstd frame may refer back over, and so the memory it takes: that of zstd's level 20, which
            no builder of images goes beyond (RFC 8878 asks for 8 MiB; levels 21 and 22, of `--ultra`, take up to 128).
    """

    entries: int = 4_000_000
    name_bytes: int = 4096
    header_bytes: int = 4 * 2**20
    depth: int = 2048
    tar_bytes: int = 2**40
    expansion: int = 1100
    expansion_free_bytes: int = 4 * 2**30
    window_bytes: int = 32 * 2**20


def changed_limits(changes: Mapping[str, int]) -> LayerLimits:
    """The limits, but for some of them.

    Raises:
        ValueError: there is no limit of a name, or it is not from 1 to 2**62.
    """
    for name, value in changes.items():
        if name not in LayerLimits._fields:
            raise ValueError(f"there is no limit {name!r} of layers; there are: {', '.join(LayerLimits._fields)}")
        if not isinstance(value, int) or not 1 <= value <= _MOST:
            raise ValueError(f"the limit {name!r} of layers is {value!r}; it must be a whole number from 1 to {_MOST}")
    return LayerLimits(**changes)
