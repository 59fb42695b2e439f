"""At most one caller at a time for each of many things."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turns:
    """Lets one caller at a time work on a thing of a name."""

    def __init__(self) -> None:
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until nobody else works on `name`."""
        lock, holders = self._turns.get(name, (asyncio.Lock(), 0))
        self._turns[name] = (lock, holders + 1)
        try:
            async with lock:
                yield
        finally:
            lock, holders = self._turns.pop(name)
            if holders > 1:
                self._turns[name] = (lock, holders - 1)
