"""Sends an image's layer files to the guest, each when the guest connects for it."""

from __future__ import annotations

from collections.abc import Callable

from firkin.domain.errors import ImageError
from firkin.domain.image import ImageBundle, Layer

from .bulk_listener import BulkListener
from .file_thread import FileThread, connection_thread
from .layer_sending import LayerSending


class LayerFeed:
    """The host's part of EnsureTemplate.

    What is wrong with a file on the host is told by `found_failure`, and the stream is ended early: the agent then
    gives up and cleans up by itself. A guest that closes a stream has a reason of its own, which it will tell.
    """

    def __init__(self, bundle: ImageBundle, on_progress: Callable[[], None], *, hands_over: bool = False) -> None:
        """`on_progress` is called by any thread.

        `hands_over` is whether the streams take whole files (see `firkin.ports.sandbox.TakesFiles`).
        """
        self._failure: ImageError | None = None
        self._under_way: dict[LayerSending, FileThread[ImageError | None]] = {}
        self._bundle = bundle
        self._on_progress = on_progress
        self._hands_over = hands_over

    async def send(self, layer: Layer, listener: BulkListener) -> None:
        """Wait for the guest, for as long as the call lasts, then send it the layer's file."""
        # The connection is closed after the failure is noted: the agent's answer may follow at once.
        with await listener.accepted("copy pod rootfs layer", timeout_seconds=None) as connection:
            self._on_progress()
            sending = LayerSending(layer, self._bundle.reference, self._on_progress, hands_over=self._hands_over)
            try:
                thread = self._under_way[sending] = connection_thread(sending.problem, connection)
                problem = await thread.result()
            except OSError as error:
                problem = sending.unreadable(error)
            finally:
                self._under_way.pop(sending, None)
            self._failure = self._failure or problem

    async def found_failure(self) -> ImageError | None:
        """What was wrong with the layers on the host, or None; for a call that is over.

        The guest may notice first that a file has changed which is on its way: so they are looked at once more.
        """
        for thread in [thread for sending, thread in self._under_way.items() if sending.is_handed_over]:
            self._failure = self._failure or await thread.given_up()
        return self._failure
