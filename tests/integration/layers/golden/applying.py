"""Applying golden layers by the engine under test."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import zstandard

from firkin.vminitd.layers.applier import LayerResult, apply_layer

from ..archives import Trickle, sha256
from .case import Golden

PACKS: Mapping[str, Callable[[bytes], bytes]] = {
    "application/vnd.oci.image.layer.v1.tar": bytes,
    "application/vnd.oci.image.layer.v1.tar+gzip": lambda tar: gzip.compress(tar, 1),
    "application/vnd.oci.image.layer.v1.tar+zstd": zstandard.compress,
}


def applied(
    rootfs: Path,
    blob: bytes,
    golden: Golden,
    stream: Trickle | None = None,
    media_type: str = "",
    diff_id: str | None = None,
) -> LayerResult:
    """Apply a blob as the golden case says; by default it is the tar itself."""
    return apply_layer(
        str(rootfs),
        stream or Trickle(blob),
        layer_name="layer",
        media_type=media_type,
        digest=sha256(blob) if golden.vouched else None,
        diff_id=(diff_id or sha256(blob)) if golden.vouched else None,
        limits=golden.limits,
    )
