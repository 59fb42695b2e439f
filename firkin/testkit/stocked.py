"""Adapters that a contract test can put something into."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from firkin.domain.image import ImageConfig, Platform
from firkin.domain.reclaiming import Reclaimable
from firkin.ports.image_source import ImageSource
from firkin.ports.leftovers import Leftover, Leftovers
from firkin.ports.reclaimable_space import ReclaimableSpace
from firkin.ports.streams import ByteSink, ByteSource


class StockedImageSource(Protocol):
    """An image source, and a way to put images into it."""

    source: ImageSource

    def add(self, name: str, config: ImageConfig, layers: Iterable[str], platform: Platform) -> str:
        """Put an image there, and return its reference; `layers` are any texts, and the same text is the same layer."""
        ...

    def absent(self) -> str:
        """A reference of no image."""
        ...


class StockedSpace(Protocol):
    """Reclaimable space, and a way to have something in it."""

    space: ReclaimableSpace

    async def add(self) -> Reclaimable:
        """Let there be one more item that is not in use."""
        ...

    def used(self, item: Reclaimable) -> AbstractAsyncContextManager[None]:
        """Let something use an item until it is left."""
        ...


class StockedLeftovers(Protocol):
    """A place where leftovers are found, and a way to leave something there."""

    place: Leftovers

    async def add(self) -> None:
        """Leave one more thing, as somebody who was killed leaves it."""
        ...

    def revived(self, leftover: Leftover) -> AbstractContextManager[None]:
        """Own a leftover, as somebody who lives does, until it is left, as if killed."""
        ...


class StreamMaker(Protocol):
    """Makes streams."""

    def opened(self) -> tuple[ByteSink, ByteSource]:
        """The two ends of a new stream, made while an event loop runs: what goes into one comes out of the other."""
        ...
