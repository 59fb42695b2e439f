"""Where the time of a layer goes, for who asks while it is applied, and afterwards."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from .stages import Stage


class StageSeconds(msgspec.Struct, frozen=True):
    """Where the time of a layer went; the stages run beside each other, so they are more than the total.

    Attributes:
        read: waiting for the stream.
        inflate: decompressing; and, while too much of what came of it waits, waiting for the other stages or helping.
        hash: hashing the blob and the archive.
        write: reading the archive and writing the rootfs.
        total: from beginning to end.
    """

    read: float = 0.0
    inflate: float = 0.0
    hash: float = 0.0
    write: float = 0.0
    total: float = 0.0


class LayerMeter:
    """Measures one application of a layer; may be asked from any thread.

    Attributes:
        hash_stage, write_stage: who hashes and who writes, from the moment that there are any to the end.
        reading: measures a body that waits for the stream; it does not count as inflating.
        inflating: measures a body that takes the archive out of the blob.
    """

    def __init__(self) -> None:
        self.hash_stage: Stage[Any] | None = None
        self.write_stage: Stage[Any] | None = None
        self._read = _Stopwatch()
        self.inflating = _Stopwatch()
        self.reading = _Reading(self._read, self.inflating)
        self._total = _Stopwatch()
        self._final: StageSeconds | None = None

    @property
    def seconds(self) -> StageSeconds:
        """So far; what they were at the end, once the application is over."""
        return self._final or self._measured()

    @property
    def stage_seconds(self) -> dict[str, float]:
        """So far, by the names that they have in a template (`TEMPLATE_STAGES`)."""
        told = self.seconds
        return {"pull": told.read, "inflate": told.inflate, "hash": told.hash, "write": told.write}

    def _measured(self) -> StageSeconds:
        hashing, writing = self.hash_stage, self.write_stage
        return StageSeconds(
            self._read.seconds,
            self.inflating.seconds,
            0.0 if hashing is None else hashing.seconds,
            0.0 if writing is None else writing.seconds,
            self._total.seconds,
        )

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure a body as the whole application."""
        self._total.start()
        try:
            yield
        finally:
            self._final = self._measured()
            self.hash_stage = self.write_stage = None


class _Reading:
    """Measures a body that waits for the stream, again and again; it does not count as inflating."""

    def __init__(self, reading: _Stopwatch, inflating: _Stopwatch) -> None:
        self._reading = reading
        self._inflating = inflating
        self._was_inflating = False

    def __enter__(self) -> None:
        self._was_inflating = self._inflating.stop()
        self._reading.start()

    def __exit__(self, *failure: object) -> None:
        self._reading.stop()
        if self._was_inflating:
            self._inflating.start()


class _Stopwatch:
    """Adds up the times of bodies, or from start to stop; used by one thread, and read by others."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        since = self._since
        return self._before + (0.0 if since is None else time.perf_counter() - since)

    def start(self) -> None:
        self._since = time.perf_counter()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def stop(self) -> bool:
        """Returns whether it ran."""
        was_running = self._since is not None
        self._before, self._since = self.seconds, None
        return was_running
