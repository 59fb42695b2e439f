"""Where the time of a boot went."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class BootTiming(msgspec.Struct, frozen=True):
    """Seconds of a sandbox's boot, from the start of its process until its agent listened.

    Attributes:
        phases: the parts by name, in order, which add up to the whole; a virtual machine has `qemu` (process and
            firmware), `kernel`, `initramfs`, `root` (mounting it), `interpreter`, `machine` (mounts, names, clock),
            `imports` and `listen`.
        run_by: what ran the guest's instructions, and why nothing faster did; "" when the sandbox has no choice.
    """

    phases: Mapping[str, float]
    run_by: str = ""

    @property
    def seconds(self) -> float:
        """The whole boot."""
        return sum(self.phases.values())

    @classmethod
    def from_marks(cls, started: float, listened: float, marks: Mapping[str, float], run_by: str = "") -> BootTiming:
        """Of the host's times of both ends, and of when each phase ended, counted from the guest's own start."""
        ends = sorted(marks.items(), key=lambda mark: mark[1])
        whole = listened - started
        before = max(whole - (ends[-1][1] if ends else 0.0), 0.0)
        phases, last = {"qemu": before}, 0.0
        for name, end in ends:
            phases[name] = end - last
            last = end
        return cls(phases, run_by)
