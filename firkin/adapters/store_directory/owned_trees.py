"""Trees of a store, whose files belong to the users of containers: an ordinary user meets them as root of his ids."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from firkin.domain.id_map import IdMap
from firkin.user_namespace import id_map_of_user, run_inside

from . import trees

DEFAULT_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class OwnedTrees:
    """Removes and measures trees; enters a user namespace where that is needed, for none when it is not."""

    def __init__(self, search_path: str = DEFAULT_SEARCH_PATH) -> None:
        self._search_path = search_path

    def id_map(self) -> IdMap | None:
        """Whose files there are; None for root, whose containers have the host's own ids."""
        return None if os.geteuid() == 0 else id_map_of_user(self._search_path)

    def remove(self, root: Path) -> None:
        """Remove a tree.

        Raises:
            OSError: something cannot be removed.
            PermissionMissing, MissingTool: that would take a user namespace, which cannot be had.
        """
        try:
            trees.remove_tree(root)
        except PermissionError:
            if (id_map := self.id_map()) is None:
                raise
            self._run(trees.REMOVE, [root], id_map)

    def used_bytes(self, roots: Sequence[Path]) -> list[int]:
        """The space of each tree, where a file of several names counts once.

        Raises:
            PermissionMissing, MissingTool: that would take a user namespace, which cannot be had.
        """
        try:
            return [trees.used_bytes(root) for root in roots]
        except PermissionError:
            if (id_map := self.id_map()) is None:
                raise
            return [int(line) for line in self._run(trees.MEASURE, roots, id_map).split()]

    def _run(self, task: str, roots: Sequence[Path], id_map: IdMap) -> str:
        program = [sys.executable, "-I", "-S", trees.__file__, task, *(str(root) for root in roots)]
        done = run_inside(program, id_map, self._search_path)
        if done.status != 0:
            reason = done.output.strip().rpartition("\n")[2] or f"status {done.status}"
            raise OSError(errno.EACCES, reason, str(roots[0]))
        return done.output
