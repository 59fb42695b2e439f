"""`firkin vminitd`: the guest agent by itself."""

from __future__ import annotations

import click

from .services import CliServices

_HELP = """Run the guest agent by itself, for authors of other frontends.

\b
  firkin vminitd --listen unix:/tmp/agent/guest-1024.sock --host-dir /tmp/agent

It serves both services of protos/ on the socket of --listen. For streams it connects to the sockets
host-PORT.sock in the directory of --host-dir, where the frontend listens. SIGTERM ends it with all it runs."""


@click.command(
    "vminitd",
    help=_HELP,
    context_settings={"ignore_unknown_options": True},
)
@click.option("--listen", metavar="unix:PATH", required=True, help="Where the agent answers.")
@click.option("--host-dir", metavar="DIR", required=True, help="The directory with the host's sockets.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[MORE]...")
@click.pass_obj
def command(services: CliServices, listen: str, host_dir: str, arguments: tuple[str, ...]) -> int:
    return services.run_vminitd(["--listen", listen, "--host-dir", host_dir, *arguments])
