"""What control groups tell of a container: version 1, version 2, or both at once (cgroups(7))."""

from .hierarchy import read_statistics

__all__ = ["read_statistics"]
