"""Judge an agent of SandboxContext, or write down what one is told."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import grpc.aio
import msgspec

from .checks import Finding, findings
from .recording import recording
from .transcript import Transcript

_EXAMPLES = """examples:
  python -m firkin.testkit.wire unix:/run/agent.sock
  python -m firkin.testkit.wire unix:/run/agent.sock --rootfs /srv/busybox    # processes, too
  python -m firkin.testkit.wire unix:/run/agent.sock --record unix:/run/public.sock > session.txt
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m firkin.testkit.wire",
        description="Judge a guest agent by its answers over the service SandboxContext. The exit code is 1 when it"
        " does anything that it should not.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("address", help="where the agent listens, for example unix:/run/agent.sock")
    parser.add_argument("--scratch", default="/run/firkin-wire-check", help="directory of the guest that may be used")
    parser.add_argument("--rootfs", default="", help="root filesystem of the guest with `sh`, to run processes in")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--record", metavar="unix:PATH", help="listen there instead, and write what passes as text")
    return parser.parse_args()


async def _judged(arguments: argparse.Namespace) -> int:
    async with grpc.aio.insecure_channel(arguments.address) as channel:
        found = await findings(channel, arguments.scratch, arguments.rootfs)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for finding in found:
            print(_line(finding))
    return 1 if any(finding.problem for finding in found) else 0


def _line(finding: Finding) -> str:
    if finding.problem is None:
        return f"-      {finding.check} (needs --rootfs)"
    return f"FAILED {finding.check}: {finding.problem}" if finding.problem else f"ok     {finding.check}"


async def _recorded(arguments: argparse.Namespace) -> int:
    transcript, ended = Transcript(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    public, agent = (Path(one.removeprefix("unix:")) for one in (arguments.record, arguments.address))
    async with recording(public, agent, transcript):
        await ended.wait()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(transcript.text())
    return 0


if __name__ == "__main__":
    chosen = _arguments()
    sys.exit(asyncio.run(_recorded(chosen) if chosen.record else _judged(chosen)))
