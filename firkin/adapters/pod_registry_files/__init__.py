"""Long-lived pods as directories: a lock that their supervisors hold, a record, logs, a control socket."""

from .directories import PODS
from .registry import FilePodRegistry
from .remains import PodLeftovers

__all__ = ["PODS", "FilePodRegistry", "PodLeftovers"]
