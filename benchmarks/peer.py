"""Runs crun and podman on request, one line in, one line out; started in a mount namespace of its own.

Hosts with both cgroup hierarchies are refused by crun, so the second one is taken away here, where nobody else
sees it. Each request is answered at the first byte of output, `flood` at the last, and `100 execs` once all have
answered; any other word is answered once the last one is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOUNTS = Path("/proc/self/mounts")
FLOOD_BYTES = 1000 << 20
FLOOD = ["/bin/dd", "if=/dev/zero", "bs=1M", f"count={FLOOD_BYTES >> 20}"]
# By itself podman raises limits to its own defaults, which takes CAP_SYS_RESOURCE.
PODMAN_LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
PODMAN = ["podman", "run", "--rm", *PODMAN_LIMITS, "--network", "none"]
# Containers have names of their own, for runs beside each other and for what a killed one left.
RUN = f"bench-{os.getpid()}"
PODMAN_DETACHED = [*PODMAN, "--detach", "--name", f"{RUN}-podman"]
_READ_BYTES = 1 << 20


def main(bundle: Path) -> None:
    """Answer requests until there are no more."""
    if " /sys/fs/cgroup/unified " in MOUNTS.read_text():
        subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=True)
    write_config(bundle, ["/bin/echo", "x"])
    for name, args in (("sleeper", ["/bin/sleep", "100000"]), ("flood", FLOOD)):
        write_config(bundle, args, bundle.with_name(name))
    sleeper = bundle.with_name("sleeper")
    subprocess.run(["crun", "run", "--detach", "--bundle", sleeper, f"{RUN}-sleeper"], check=True)
    run = ["crun", "run", "--bundle"]
    execute = ["crun", "exec", f"{RUN}-sleeper", "/bin/echo", "x"]
    requests: dict[str, Callable[[], None]] = {
        "run": lambda: answer([*run, str(bundle), f"{RUN}-run"]),
        "run same": lambda: answer([*run, str(bundle.with_name("same")), f"{RUN}-same"]),
        "exec": lambda: answer(execute),
        "100 execs": lambda: answer_all([execute] * 100),
        "flood": lambda: answer([*run, str(bundle.with_name("flood")), f"{RUN}-flood"], whole=True),
        "podman run": lambda: answer([*PODMAN, "--rootfs", str(bundle / "rootfs"), "/bin/echo", "x"]),
        "podman sleeper": lambda: answer(
            [*PODMAN_DETACHED, "--rootfs", str(bundle / "rootfs"), "/bin/sleep", "100000"]
        ),
        "podman exec": lambda: answer(["podman", "exec", f"{RUN}-podman", "/bin/echo", "x"]),
    }
    has_podman_sleeper = False
    try:
        for line in sys.stdin:
            has_podman_sleeper |= line.strip() == "podman sleeper"
            requests.get(line.strip(), lambda: print("ok", flush=True))()
    finally:
        subprocess.run(["crun", "delete", "--force", f"{RUN}-sleeper"], check=False)
        if has_podman_sleeper:
            subprocess.run(["podman", "rm", "--force", "--time", "0", f"{RUN}-podman"], check=False)
            remove_control_groups()


def remove_control_groups() -> None:
    """Remove what podman leaves, as far as nobody else uses it."""
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for path, _, _ in os.walk(hierarchy / "libpod_parent", topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()


def answer(command: list[str], *, whole: bool = False) -> None:
    """Run a command, answer at its first byte of output (or its last), and wait for its end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        is_answered = bool(os.read(process.stdout.fileno(), _READ_BYTES))
        while whole and os.read(process.stdout.fileno(), _READ_BYTES):
            pass
        if is_answered:
            print("ok", flush=True)
        else:
            print("failed:", process.stderr.read().decode(errors="replace").replace("\n", " "), flush=True)


def answer_all(commands: list[list[str]]) -> None:
    """Run commands at the same time, and answer once each has."""
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) for command in commands]
    outputs = [process.communicate()[0] for process in processes]
    print("ok" if all(outputs) else "failed: some said nothing", flush=True)


def write_config(bundle: Path, args: list[str], where: Path | None = None) -> None:
    """Make the bundle that umoci wrote run `args` without a terminal."""
    config = json.loads((bundle / "config.json").read_text())
    config["process"].update(args=args, terminal=False)
    config["root"]["path"] = str(bundle / "rootfs")
    config["linux"]["namespaces"] = [one for one in config["linux"]["namespaces"] if one["type"] != "network"]
    config["linux"].pop("cgroupsPath", None)
    place = where or bundle
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text(json.dumps(config))


def write_same_config(bundle: Path, config: dict[str, Any]) -> None:
    """Let `run same` run what firkin ran: all of its document but where its files and its control group are."""
    config["root"]["path"] = str(bundle / "rootfs")
    config["mounts"] = [one for one in config["mounts"] if not one.get("source", "").startswith("/run/firkin/")]
    config["linux"]["cgroupsPath"] = "/bench-same"
    place = bundle.with_name("same")
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
