"""Whether this host's kernel keeps project quotas; found out by looking only."""

from __future__ import annotations

import functools
import os
from pathlib import Path

_MODULES = Path("/lib/modules")
_DRIVER = "/quota_v2.ko"


@functools.cache
def kernel_keeps_project_quotas(modules: Path = _MODULES) -> bool:
    """Whether the format of ext4's quotas is built into the running kernel, or among its modules.

    Without it (CONFIG_QFMT_V2) a kernel mounts no filesystem with quotas for writing. What cannot be found out is no.
    """
    directory = modules / os.uname().release
    return any(_has_line(directory / name) for name in ("modules.builtin", "modules.dep"))


def _has_line(path: Path) -> bool:
    try:
        # A module's name, which may be compressed, stands before a colon and what it depends on.
        return any(_DRIVER in line.partition(":")[0] for line in path.read_text().splitlines())
    except OSError:
        return False
