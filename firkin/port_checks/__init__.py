"""Asking a port once, as Kubernetes' probes do, over connections that somebody else makes.

The agent asks from inside the sandbox, and the host through the agent's proxies, so this knows neither of them.
"""

from .dialler import PortDialler
from .questions import port_failure

__all__ = ["PortDialler", "port_failure"]
