"""All deliberate bugs in a copy of the adapters in memory."""

from __future__ import annotations

from .agent_mutants import AGENT_MUTANTS
from .host_mutants import HOST_MUTANTS
from .sandbox_mutants import SANDBOX_MUTANTS

MUTANTS = (*SANDBOX_MUTANTS, *AGENT_MUTANTS, *HOST_MUTANTS)
