"""The agent's part in templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from firkin.domain.image import ImageBundle
from firkin.domain.layout import StoreLayout


class TemplateProgress(msgspec.Struct, frozen=True):
    """How far a materialisation is; byte counts are of the blobs as they lie on the host.

    Attributes:
        layer_index: the layer being applied.
        layer_count: how many there are.
        done_bytes: read so far; in the last report all of them, also of layers that were there already.
        total_bytes: of all layers.
        reference: of the image.
        replaced: in the last report, as in TemplateResult.
    """

    layer_index: int
    layer_count: int
    done_bytes: int
    total_bytes: int
    reference: str = ""
    replaced: Mapping[str, int] = {}


class TemplateResult(msgspec.Struct, frozen=True):
    """What a materialisation did.

    Attributes:
        created: False when the template was there already.
        entries: of all its layers.
        seconds: that the call took.
        stage_seconds: of a template that was made, by stage (`TEMPLATE_STAGES`), as far as the agent tells.
        replaced: what could not be made as it is in the image, with its count: `device` (an empty file instead),
            `owner` (another one instead), `attribute` (left out). Only root without a user namespace loses nothing.
    """

    created: bool
    entries: int = 0
    seconds: float = 0.0
    stage_seconds: Mapping[str, float] = {}
    replaced: Mapping[str, int] = {}


ProgressCallback = Callable[[TemplateProgress], None]


class AgentTemplates(Protocol):
    """Turning images into read-only templates of the store."""

    async def ensure_template(
        self, bundle: ImageBundle, layout: StoreLayout, progress: ProgressCallback | None = None
    ) -> TemplateResult:
        """Make the template of `bundle.chain_id`, unless it is complete already.

        It is written aside while the digest and the diff id of every layer are checked, synced, and renamed
        into place: a template that exists is whole. A failed or cancelled call removes what it wrote.

        An error's `failed_stage` is the one of `TEMPLATE_STAGES` that failed, as far as that is known, and its
        `stage_seconds` tell what they took until then.

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused: the image is broken or hostile.
            StoreFull: it does not fit.
        """
        ...
