"""Two hashes, one after the other: the twin of `sha256.pyx`, and used where the processor lacks its instructions."""

from __future__ import annotations

import hashlib


class Sha256Pair:
    """The hashes of two streams, given piece by piece; not by two threads at once."""

    def __init__(self) -> None:
        self._first = hashlib.sha256()
        self._second = hashlib.sha256()

    def update(self, first: bytes, second: bytes) -> None:
        """The next bytes of each stream, or none."""
        self._first.update(first)
        self._second.update(second)

    def hexdigests(self) -> tuple[str, str]:
        """The digests of what came so far."""
        return self._first.hexdigest(), self._second.hexdigest()
