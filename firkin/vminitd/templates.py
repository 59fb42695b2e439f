"""Template jobs: layers from the host, a few at a time, into one template."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.guest_path import GuestPath
from firkin.domain.layer_limits import LayerLimits

from .bulk_reader import BulkReader
from .host_streams import HostStreams
from .layers.stacks import TemplateStack
from .layers.templates import TemplateLayer
from .process_stdio import StreamRequest


class TemplateRequest(msgspec.Struct, frozen=True):
    """A template: its key, its layers lowest first, where each layer's bytes come from, and what each may amount to."""

    store_path: GuestPath
    chain_id: Digest
    layers: Sequence[TemplateLayer]
    streams: Sequence[StreamRequest]
    limits: LayerLimits = LayerLimits()


class TemplateJob:
    """One materialisation, run in a thread and watched from the event loop."""

    def __init__(self, host: HostStreams, request: TemplateRequest) -> None:
        self._host = host
        self._request = request
        self._stack = TemplateStack(request.store_path, request.chain_id, request.layers, request.limits)
        self._readers: dict[int, BulkReader] = {}
        self._cancelled = False

    @property
    def done_bytes(self) -> int:
        """Bytes of blobs read so far, over all layers."""
        return sum(reader.done_bytes for reader in list(self._readers.values()))

    @property
    def layer_index(self) -> int:
        """The lowest layer that is not applied yet."""
        return self._stack.layer_index

    @property
    def entries(self) -> int:
        """Entries applied so far, over all layers."""
        return self._stack.entries

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """What each of `TEMPLATE_STAGES` took so far, over all layers."""
        return self._stack.stage_seconds

    @property
    def replaced(self) -> Mapping[str, int]:
        """What could not be made as it is in the image, over all layers."""
        return self._stack.replaced

    def run(self) -> bool:
        """Make the template; False when it was there already.

        Raises:
            BlobCorrupt, DiffIdMismatch, MediaTypeUnsupported, LayerRefused, StoreFull, AgentError: it failed, or
                was cancelled; nothing of it is left.
        """
        with self._stack as stack:
            if stack.exists():
                return False
            stack.build(self._opened, self.cancel)
            return stack.commit()

    def cancel(self) -> None:
        """Let `run` fail at its next read."""
        self._cancelled = True
        for reader in list(self._readers.values()):
            reader.cancel()

    @contextlib.contextmanager
    def _opened(self, index: int) -> Iterator[BulkReader]:
        source = self._request.streams[index]
        with BulkReader(self._host.connect_blocking(source.port, source.token)) as reader:
            self._readers[index] = reader
            if self._cancelled:
                reader.cancel()
            yield reader
