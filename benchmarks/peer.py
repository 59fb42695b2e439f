"""Runs crun and podman on request, one line in, one line out; started in a mount namespace of its own.

Hosts with both cgroup hierarchies are refused by crun, so the second one is taken away here, where nobody else
sees it. The requests are `ready`, `run`, `exec` and `podman run`, each until the first byte of output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def main(bundle: Path) -> None:
    """Answer requests until there are no more."""
    if " /sys/fs/cgroup/unified " in MOUNTS.read_text():
        subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=True)
    write_config(bundle, ["/bin/echo", "x"])
    sleeper = bundle.with_name("sleeper")
    sleeper.mkdir(exist_ok=True)
    write_config(bundle, ["/bin/sleep", "100000"], sleeper)
    subprocess.run(["crun", "run", "--detach", "--bundle", sleeper, "bench-sleeper"], check=True)
    commands = {
        "ready": ["true"],
        "run": ["crun", "run", "--bundle", str(bundle), "bench-run"],
        "exec": ["crun", "exec", "bench-sleeper", "/bin/echo", "x"],
        "podman run": [
            "podman",
            "run",
            "--rm",
            "--network",
            "none",
            "--rootfs",
            str(bundle / "rootfs"),
            "/bin/echo",
            "x",
        ],
    }
    try:
        for line in sys.stdin:
            print(answer(commands[line.strip()]), flush=True)
    finally:
        subprocess.run(["crun", "delete", "--force", "bench-sleeper"], check=False)


def answer(command: list[str]) -> str:
    """Run a command to its first byte of output, then to its end."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        return f"failed: {done.stderr.decode(errors='replace').strip()}".replace("\n", " ")
    return "ok"


def write_config(bundle: Path, args: list[str], where: Path | None = None) -> None:
    """Make the bundle that umoci wrote run `args` without a terminal."""
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=args, terminal=False)
    config["root"]["path"] = str(bundle / "rootfs")
    config["linux"]["namespaces"] = [one for one in config["linux"]["namespaces"] if one["type"] != "network"]
    config["linux"].pop("cgroupsPath", None)
    ((where or bundle) / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
