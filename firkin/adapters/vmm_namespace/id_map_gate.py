"""What holds a sandbox of an ordinary user up until its user namespace has its ids."""

from __future__ import annotations

import asyncio
import socket

from firkin.domain.id_map import IdMap
from firkin.user_namespace import release


class IdMapGate:
    """A socket, whose other end is the standard input of `held_command`; to be closed."""

    def __init__(self, id_map: IdMap, search_path: str) -> None:
        self._id_map = id_map
        self._search_path = search_path
        self._ours, self._theirs = socket.socketpair()

    @property
    def descriptor(self) -> int:
        """The end for the held process."""
        return self._theirs.fileno()

    async def release(self, pid: int) -> bool:
        """Give the namespace of the process its ids, and let it go on; False when it has ended.

        Raises:
            PermissionMissing, MissingTool: the ids were refused.
        """
        self._theirs.close()
        return await asyncio.to_thread(release, pid, self._ours, self._id_map, self._search_path)

    def close(self) -> None:
        """Let go; twice is fine."""
        self._ours.close()
        self._theirs.close()
