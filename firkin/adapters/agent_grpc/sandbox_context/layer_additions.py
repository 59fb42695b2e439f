"""What is said of a layer beside the call that applies it, and its answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from firkin.domain.context_additions import LAYER_LIMITS_KEY, REPLACED_KEY, STAGES_KEY
from firkin.domain.stages import TEMPLATE_STAGES, told_stages

from .told_metadata import Metadata, told


def limits_metadata(limits: Mapping[str, int]) -> tuple[tuple[str, bytes], ...]:
    """What the layer may amount to, for an agent that has the feature `layer-limits`; nothing where it is to decide."""
    return ((LAYER_LIMITS_KEY, msgspec.json.encode(limits)),) if limits else ()


def told_replacements(metadata: Metadata) -> Mapping[str, int]:
    """What could not be made as it is in the layer, with its count."""
    counts = told(metadata, REPLACED_KEY, dict[str, int]) or {}
    return {what: count for what, count in counts.items() if count > 0}


def told_layer_stages(metadata: Metadata) -> Mapping[str, float]:
    """What the stages of the layer took, in seconds."""
    return told_stages(told(metadata, STAGES_KEY, dict[str, float]) or {}, TEMPLATE_STAGES)
