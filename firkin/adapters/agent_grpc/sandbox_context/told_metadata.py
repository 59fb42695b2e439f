"""What firkin's agents tell beside an answer.

Other agents tell nothing, and what cannot be read counts as that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from firkin.domain.json_decoding import decoded_json

Metadata = Iterable[tuple[str, str | bytes]] | None
T = TypeVar("T")

_MOST_BYTES = 4096


def told(metadata: Metadata, wanted: str, kind: type[T]) -> T | None:
    """The JSON value of the key `wanted`; None when there is none."""
    for key, value in metadata or ():
        if key == wanted and len(value) <= _MOST_BYTES:
            try:
                return decoded_json(value if isinstance(value, bytes) else value.encode(), kind)
            except msgspec.DecodeError:
                return None
    return None
