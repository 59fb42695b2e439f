"""Why nothing holds a limit (cgroups(7)), and what mends it; the agent and its host say the same."""

from __future__ import annotations

# Delegation is the service manager's; control groups of version 1 cannot be delegated safely (cgroups(7)).
_REMEDY = "run `systemd-run --user --scope -p Delegate=yes firkin ...`, or a virtual machine (`--vmm qemu`), or as root"


def missing_controller(controller: str, *, is_root: bool) -> str:
    """Why no control group of this controller can be made; for an ordinary user with what mends it."""
    if is_root:
        return f"no {controller} control group can be made on this machine"
    return f"no {controller} control group is delegated to this user: {_REMEDY}"
