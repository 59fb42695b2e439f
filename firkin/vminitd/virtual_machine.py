"""The guest agent as the init of a virtual machine: from the interpreter's start to the machine's end."""

from __future__ import annotations

import os
import sys
import time

_BOOT_VARIABLE = "FIRKIN_BOOT"
_RB_POWER_OFF = 0x4321FEDC  # linux/reboot.h


def main() -> None:
    """Be the machine's init until the host or somebody in here wants it to end; does not return.

    Whatever happens, the machine is switched off, after what happened was written to its console.
    """
    try:
        _run()
    except OSError as error:
        print(f"vminitd: cannot start: {error}", file=sys.stderr, flush=True)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    _leave_store()
    _power_off()


def _run() -> None:
    phases = _phases_so_far()
    from .host_line import opened_line, report
    from .machine_init import limit_containers, set_up_machine

    set_up_machine()
    line, limits = opened_line()
    limit_containers(limits)
    phases["machine"] = _uptime()
    # Most of what the agent imports is gRPC; it is worth its own phase.
    from .machine_server import serve_machine

    phases["imports"] = _uptime()

    def listening() -> None:
        phases["listen"] = _uptime()
        report(line, phases)

    serve_machine(line, listening)


def _phases_so_far() -> dict[str, float]:
    """The initramfs's own times, and now: seconds since the kernel's start."""
    stamps = os.environ.pop(_BOOT_VARIABLE, "").split()
    phases = {name: float(stamp) for name, stamp in zip(("kernel", "initramfs", "root"), stamps, strict=False)}
    return {**phases, "interpreter": _uptime()}


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _leave_store() -> None:
    """Unmount the pod store if anybody left it mounted; whatever stands in the way is told, and holds nothing up."""
    try:
        from .machine_end import leave_store

        leave_store()
    except Exception as error:
        print(f"vminitd: the pod store stays mounted: {error}", file=sys.stderr, flush=True)


def _power_off() -> None:
    """Write everything out and switch the machine off (reboot(2))."""
    import ctypes

    os.sync()
    ctypes.CDLL(None).reboot(_RB_POWER_OFF)
