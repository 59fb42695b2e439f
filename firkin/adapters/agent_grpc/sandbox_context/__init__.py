"""The road of SandboxContext: an agent that knows nothing of firkin.agent.v1, one small call after another."""

from .agent import SandboxContextAgent

__all__ = ["SandboxContextAgent"]
