"""What an agent of firkin.agent.v1 must have said of itself before it is asked for it."""

from __future__ import annotations

from firkin.domain.errors import Outcome, UnsupportedFeature
from firkin.domain.reports import AgentInfo

COPIES = "copies"
STATISTICS = "statistics"
PROCESS_LIST = "process-list"
STORE_USAGE = "store-usage"
EVENTS = "events"
VOLUME_PARTS = "volume-parts"
SHARED_PROCESSES = "shared-process-namespace"
DISK_SIZE_LIMITS = "disk-size-limits"
VOLUME_GROUPS = "volume-groups"
WRITABLE_LAYER_LIMITS = "writable-layer-limits"
LAYER_LIMITS = "layer-limits"
# What is added to SandboxContext.
CONNECTED_PROXIES = "connected-proxies"
OWN_MOUNTS = "own-mounts"
OWN_ROOTS = "own-roots"


def require_feature(info: AgentInfo, feature: str, what: str) -> None:
    """Refuse what an older agent cannot do.

    Raises:
        UnsupportedFeature: the agent does not announce `feature`.
    """
    if feature not in info.features:
        refused = UnsupportedFeature(what, f"this guest agent ({info.version}) is too old for it")
        raise refused.during(what, outcome=Outcome.DID_NOT)
