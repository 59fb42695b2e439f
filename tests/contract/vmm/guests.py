"""Small inits that stand where vminitd stands, and a look at what a sandbox leaves on the host."""

from __future__ import annotations

import sys
from pathlib import Path

from firkin.adapters.vmm_namespace import NamespaceVmm
from firkin.domain.ids import PodId
from firkin.domain.vm_config import VmConfig
from firkin.ports.store import StoreMedium
from firkin.ports.vmm import SandboxRequest
from firkin.testkit.host_leftovers import host_leftovers, processes_naming

__all__ = ["cgroups_of", "guest_vmm", "init_vmm", "leftovers", "processes_naming", "request_for"]

_GUEST = """#!{python}
import json, os, socket, subprocess, sys, time
from firkin.vminitd.options import parsed_options
from firkin.vminitd.sandbox_init import set_up_sandbox
options = parsed_options(sys.argv[sys.argv.index("--init"):])
host = set_up_sandbox(options.host_directory, options.host_name, options.store_directory)
{body}
os.read(options.lifeline, 1)
"""


def guest_vmm(directory: Path, body: str = "") -> NamespaceVmm:
    """A VMM whose sandboxes set themselves up, run `body`, and end when their lifeline is cut."""
    return init_vmm(directory, _GUEST.format(python=sys.executable, body=body))


def init_vmm(directory: Path, script: str) -> NamespaceVmm:
    """A VMM whose sandboxes have `script` as their init."""
    program = directory / "init"
    program.write_text(script)
    program.chmod(0o755)
    return NamespaceVmm(directory / "run", python=str(program))


def request_for(directory: Path, config: VmConfig | None = None, store: StoreMedium | None = None) -> SandboxRequest:
    """A request with a directory store, unless another one is given."""
    (directory / "store").mkdir(exist_ok=True)
    medium = store or StoreMedium(directory / "store", "", "the-store")
    return SandboxRequest(PodId("pod-1"), config or VmConfig(), medium, "guest-name")


def leftovers(directory: Path) -> list[str]:
    """Processes, mounts, loop devices, control groups and files that sandboxes below `directory` left."""
    runtime_dir = directory / "run"
    left = [str(path) for path in runtime_dir.iterdir()] if runtime_dir.exists() else []
    return left + host_leftovers(directory)


def cgroups_of(sandbox_id: str) -> list[Path]:
    """The control groups of a sandbox, in every hierarchy."""
    return list(Path("/sys/fs/cgroup").rglob(f"firkin-{sandbox_id}"))
