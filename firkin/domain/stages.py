"""The stages that a pod's start is made of: the names that results, errors, events and spans have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

TEMPLATE_STAGES = ("pull", "inflate", "hash", "write", "commit")
"""Of making a template, all layers together: waiting for their blobs' bytes, decompressing, hashing and writing, beside
each other, and then syncing and renaming. They are parts of the stage `template`, and may be more than it."""

CALL_STAGES = ("create", "start")
"""Of the agent's call that starts a container, the stage `call`: streams, overlay and bundle; then the OCI runtime."""

CONTAINER_STAGES = ("template", *TEMPLATE_STAGES, "overlay", "spec", "streams", "call", *CALL_STAGES, "post start")
"""Of a container's start."""

POD_STAGES = ("store", "boot", "agent", "mount", "volumes", "ports", "init containers", "containers")
"""Of a pod's spawn, one after the other; those of its containers are parts of the last two. `ports` is there only for a
pod that is asked to forward any."""


def told_stages(seconds: Mapping[str, float], known: Iterable[str]) -> dict[str, float]:
    """What is believable of the seconds that somebody else tells: of known stages, finite, and not negative."""
    return {name: seconds[name] for name in known if name in seconds and 0 <= seconds[name] < math.inf}
