"""What is said of a layer beside the call that applies it, and its answer.

Other agents tell nothing, and what cannot be read counts as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from firkin.domain.context_additions import LAYER_LIMITS_KEY, REPLACED_KEY, STAGES_KEY
from firkin.domain.json_decoding import decoded_json
from firkin.domain.stages import TEMPLATE_STAGES, told_stages

Metadata = Iterable[tuple[str, str | bytes]] | None
T = TypeVar("T")

_MOST_BYTES = 4096


def limits_metadata(limits: Mapping[str, int]) -> tuple[tuple[str, bytes], ...]:
    """What the layer may amount to, for an agent that has the feature `layer-limits`; nothing where it is to decide."""
    return ((LAYER_LIMITS_KEY, msgspec.json.encode(limits)),) if limits else ()


def told_replacements(metadata: Metadata) -> Mapping[str, int]:
    """What could not be made as it is in the layer, with its count."""
    return {what: count for what, count in _told(metadata, REPLACED_KEY, dict[str, int]).items() if count > 0}


def told_layer_stages(metadata: Metadata) -> Mapping[str, float]:
    """What the stages of the layer took, in seconds."""
    return told_stages(_told(metadata, STAGES_KEY, dict[str, float]), TEMPLATE_STAGES)


def _told(metadata: Metadata, wanted: str, kind: type[dict[str, T]]) -> dict[str, T]:
    for key, value in metadata or ():
        if key == wanted and len(value) <= _MOST_BYTES:
            try:
                return decoded_json(value if isinstance(value, bytes) else value.encode(), kind)
            except msgspec.DecodeError:
                return {}
    return {}
