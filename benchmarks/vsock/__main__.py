"""Measures the vsock device in a real machine, round by round beside its peers; only ratios of one run mean much."""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from firkin._fast.vsock import VsockDevice

from .machine import COUNT, ECHO, SEND, Machine, initramfs, kernel, thread_cpu_seconds
from .transfers import PythonPeer, hand_over, receive, round_trips, send_file

GUEST_CID = 3
IDLE_SECONDS = 2.0


class Work(NamedTuple):
    """Something that is timed; `of` is the machine whose CPU time it takes."""

    name: str
    rate: Callable[[], float]
    of: Machine


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vsock", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=100, help="of each transfer")
    parser.add_argument("--plain-reader", action="store_true", help="the guest's readers interrupt its driver")
    parser.add_argument("--json", type=Path, help="the file to write everything to")
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firkin-vsock-")))
        file = directory / "file"
        file.write_bytes(os.urandom(options.mebibytes << 20))
        booted = kernel()
        image = initramfs(directory, booted, batch=not options.plain_reader)
        device = VsockDevice(directory / "vsock.sock", GUEST_CID, directory)
        stack.callback(device.close)
        for port in (ECHO, COUNT, SEND):
            device.listen(port)
        device.start()
        ours = stack.enter_context(Machine(booted, image, directory / "vsock.sock"))
        peer = stack.enter_context(PythonPeer(directory / "peer.sock", file))
        theirs = stack.enter_context(Machine(booted, image, directory / "peer.sock"))
        peer.warm_up()
        results = _measured(_works(directory, file, ours, peer, theirs), options.rounds, file.stat().st_size)
        results["idle"] = _idle(device)
    _print(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _works(directory: Path, file: Path, ours: Machine, peer: PythonPeer, theirs: Machine) -> list[Work]:
    dial = partial(_dial, directory)
    return [
        Work("to the guest: file handed over", partial(hand_over, dial, file), ours),
        Work("to the guest: sendfile", partial(send_file, dial, file), ours),
        Work("to the guest: device in Python", peer.send_file, theirs),
        Work("to the guest: TCP", partial(send_file, ours.tcp, file), ours),
        Work("from the guest", partial(receive, dial, file), ours),
        Work("from the guest: TCP", partial(receive, ours.tcp, file), ours),
        Work("round trips", partial(round_trips, dial, file), ours),
        Work("round trips: TCP", partial(round_trips, ours.tcp, file), ours),
    ]


def _dial(directory: Path, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(directory / f"guest-{port}.sock"))
    return connection


def _measured(works: list[Work], rounds: int, size: int) -> dict[str, dict[str, float]]:
    rates: dict[str, list[float]] = {work.name: [] for work in works}
    costs: dict[str, list[float]] = {work.name: [] for work in works}
    for _ in range(rounds):
        for work in works:
            before = work.of.cpu_seconds()
            rates[work.name].append(work.rate())
            costs[work.name].append(work.of.cpu_seconds() - before)
    unit = 1 << 20
    return {
        name: {
            "rate": statistics.median(rates[name]) / (1 if name.startswith("round") else unit),
            "qemu_cpu_seconds": statistics.median(costs[name]),
            "beside_tcp": _ratio(rates, name, _tcp_of(name)),
            "beside_python": _ratio(rates, name, "to the guest: device in Python") if name.startswith("to") else 0.0,
        }
        for name in rates
    }


def _tcp_of(name: str) -> str:
    return f"{name.partition(':')[0]}: TCP"


def _ratio(rates: dict[str, list[float]], name: str, beside: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(mine / other for mine, other in zip(rates[name], rates[beside], strict=True))


def _idle(device: VsockDevice) -> dict[str, float]:
    assert device.thread_id is not None
    before, cpu = device.statistics().wakeups, thread_cpu_seconds(device.thread_id)
    time.sleep(IDLE_SECONDS)
    return {
        "wakeups": device.statistics().wakeups - before,
        "cpu_seconds": thread_cpu_seconds(device.thread_id) - cpu,
    }


def _print(results: dict[str, dict[str, float]]) -> None:
    print(f"{'':32}{'MiB/s, 1/s':>12}{'beside TCP':>12}{'Python':>9}{'QEMU CPU s':>12}")
    for name, result in results.items():
        if name == "idle":
            print(f"idle for {IDLE_SECONDS:g} s: {result['wakeups']:.0f} wakeups, {result['cpu_seconds']:.2f} s of CPU")
            continue
        python = f"{result['beside_python']:.2f}" if result["beside_python"] else ""
        print(
            f"{name:32}{result['rate']:12.1f}{result['beside_tcp']:12.2f}{python:>9}{result['qemu_cpu_seconds']:12.2f}"
        )


if __name__ == "__main__":
    main()
