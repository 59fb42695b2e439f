"""What supervisors left that were killed: sockets, half-made directories, pods that wanted to be removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from firkin.ports.leftovers import Leftover

from .directories import PODS
from .sweeping import found_remains, removed_remains


class PodLeftovers:
    """Keeps the port Leftovers for the registry. Record and logs of a pod stay until it is removed by name."""

    def __init__(self, state_dir: Path) -> None:
        """Touch nothing yet."""
        self._pods = state_dir.absolute() / PODS

    async def found(self) -> tuple[Leftover, ...]:
        """Pods whose supervisors were killed, and directories that nobody completes or removes any more."""
        return await asyncio.to_thread(lambda: tuple(found_remains(self._pods)))

    async def remove(self, leftover: Leftover) -> str:
        """Tidy a pod up, unless somebody holds it by now."""
        return await asyncio.to_thread(removed_remains, Path(leftover.name))
