"""Every port in memory, with fault injection: for firkin's own tests and for its users'.

The same contract tests that judge the real adapters judge these, so a test on them is a test of the real thing.
Give all adapters of one runtime the same `MemoryWorld`: it tells what is left, and it injects faults.
"""

from .agent import MemoryAgent
from .connector import MemoryAgentConnector
from .faults import Faults
from .image_library import MemoryImageLibrary, MemoryReclaimableSpace
from .images import MemoryImageSource
from .pod_control import MemoryPodControls
from .pod_registry import MemoryLogKeeper, MemoryPodRegistry
from .programs import MemoryProcess, Program
from .sandbox import MemorySandbox
from .store import MemoryPodStore
from .vmm import MemoryVmm
from .world import MemoryWorld

__all__ = [
    "Faults",
    "MemoryAgent",
    "MemoryAgentConnector",
    "MemoryImageLibrary",
    "MemoryImageSource",
    "MemoryLogKeeper",
    "MemoryPodControls",
    "MemoryPodRegistry",
    "MemoryPodStore",
    "MemoryProcess",
    "MemoryReclaimableSpace",
    "MemorySandbox",
    "MemoryVmm",
    "MemoryWorld",
    "Program",
]
