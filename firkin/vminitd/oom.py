"""Did the kernel's OOM killer end a process: counters of a container's memory control group."""

from __future__ import annotations

_CGROUP_ROOT = "/sys/fs/cgroup"


class OomCounter:
    """Counts OOM kills in one container, from the control groups of either version; best effort."""

    def __init__(self, cgroups_path: str) -> None:
        self._files = (
            f"{_CGROUP_ROOT}/memory{cgroups_path}/memory.oom_control",
            f"{_CGROUP_ROOT}{cgroups_path}/memory.events",
        )
        self._seen = 0

    def has_killed_again(self) -> bool:
        """True when the counter rose since the last call."""
        kills = self._kills()
        rose = kills > self._seen
        self._seen = kills
        return rose

    def _kills(self) -> int:
        for path in self._files:
            try:
                with open(path) as lines:
                    counters = dict(line.split(maxsplit=1) for line in lines)
            except (OSError, ValueError):
                continue
            return int(counters.get("oom_kill", "0"))
        return 0
