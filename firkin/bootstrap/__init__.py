"""The composition root: the only place that knows which class stands behind which port."""

from .wiring import Wiring, open_runtime, wired

__all__ = ["Wiring", "open_runtime", "wired"]
