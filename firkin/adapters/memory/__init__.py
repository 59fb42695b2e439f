"""Every port in memory, with fault injection: for firkin's own tests and for its users'.

The same contract tests that judge the real adapters judge these, so a test on them is a test of the real thing.
Give all adapters of one runtime the same `MemoryWorld`: it tells what is left, and it injects faults.
"""

from .agent import MemoryAgent
from .connector import MemoryAgentConnector
from .faults import Faults
from .guest_images import MemoryGuestImages
from .image_library import MemoryImageLibrary, MemoryReclaimableSpace
from .images import MemoryImageSource
from .leftovers import MemoryLeftovers
from .pod_control import MemoryPodControls
from .pod_registry import MemoryLogKeeper, MemoryPodRegistry
from .programs import MemoryProcess, Program
from .sandbox import MemorySandbox
from .spawn_observer import MemorySpawnObserver
from .store import MemoryPodStore
from .vmm import MemoryVmm
from .world import MemoryWorld

__all__ = [
    "Faults",
    "MemoryAgent",
    "MemoryAgentConnector",
    "MemoryGuestImages",
    "MemoryImageLibrary",
    "MemoryImageSource",
    "MemoryLeftovers",
    "MemoryLogKeeper",
    "MemoryPodControls",
    "MemoryPodRegistry",
    "MemoryPodStore",
    "MemoryProcess",
    "MemoryReclaimableSpace",
    "MemorySandbox",
    "MemorySpawnObserver",
    "MemoryVmm",
    "MemoryWorld",
    "Program",
]
