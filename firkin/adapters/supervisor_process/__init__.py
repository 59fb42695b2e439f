"""Supervisors as processes of their own, which outlive the command and the terminal that started them."""

from .detached import Starter, start_detached
from .supervising import SupervisorParts, SupervisorTask, supervise

__all__ = ["Starter", "SupervisorParts", "SupervisorTask", "start_detached", "supervise"]
