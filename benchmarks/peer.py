"""Runs crun and podman on request, one line in, one line out; started in a mount namespace of its own.

Hosts with both cgroup hierarchies are refused by crun, so the second one is taken away here, where nobody else
sees it. The requests are `run`, `exec` and `podman run`, each
answered at the first byte of output; any other word is answered once the last one is done.
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
            answer(commands.get(line.strip(), []))
    finally:
        subprocess.run(["crun", "delete", "--force", "bench-sleeper"], check=False)


def answer(command: list[str]) -> None:
    """Run a command, answer at its first byte of output, and wait for its end; no command is answered at once."""
    if not command:
        print("ok", flush=True)
        return
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.read(1):
            print("ok", flush=True)
        else:
            print("failed:", process.stderr.read().decode(errors="replace").replace("\n", " "), flush=True)


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
