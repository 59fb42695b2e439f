"""Template jobs: layers from the host, in turn, into one template."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.guest_path import GuestPath

from .bulk_reader import BulkReader
from .host_streams import HostStreams
from .layers.templates import TemplateBuilder, TemplateLayer
from .process_stdio import StreamRequest


class TemplateRequest(msgspec.Struct, frozen=True):
    """A template: its key, its layers lowest first, and where each layer's bytes come from."""

    store_path: GuestPath
    chain_id: Digest
    layers: Sequence[TemplateLayer]
    streams: Sequence[StreamRequest]


class TemplateJob:
    """One materialisation, run in a thread and watched from the event loop.

    Attributes:
        layer_index: which layer is being applied.
        entries: applied so far.
    """

    def __init__(self, host: HostStreams, request: TemplateRequest) -> None:
        self._host = host
        self._request = request
        self._earlier_bytes = 0
        self._reader: BulkReader | None = None
        self._cancelled = False
        self.layer_index = 0
        self.entries = 0

    @property
    def done_bytes(self) -> int:
        """Bytes of blobs read so far, over all layers."""
        reader = self._reader
        return self._earlier_bytes + (reader.done_bytes if reader is not None else 0)

    def run(self) -> bool:
        """Make the template; False when it was there already.

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused, StoreFull, AgentError: it failed, or
                was cancelled; nothing of it is left.
        """
        with TemplateBuilder(self._request.store_path, self._request.chain_id) as builder:
            if builder.exists():
                return False
            for index, (layer, source) in enumerate(zip(self._request.layers, self._request.streams, strict=True)):
                self.layer_index = index
                with BulkReader(self._host.connect_blocking(source.port, source.token)) as reader:
                    self._reader = reader
                    if self._cancelled:
                        reader.cancel()
                    self.entries += builder.apply(layer, reader)
                    self._reader = None
                    self._earlier_bytes += reader.done_bytes
            return builder.commit()

    def cancel(self) -> None:
        """Let `run` fail at its next read."""
        self._cancelled = True
        if self._reader is not None:
            self._reader.cancel()
