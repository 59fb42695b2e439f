"""`-p [[IP:]HOST:]CONTAINER` and `--network KIND`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .pod_end import tell

if TYPE_CHECKING:
    from firkin.application.pod import Pod
    from firkin.domain.port_forwards import PortForward


class PortForwardType(click.ParamType["PortForward"]):
    """Reads a PortForward."""

    name = "[[IP:]HOST:]CONTAINER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> PortForward:
        from firkin.domain.errors import InvalidPortForward
        from firkin.domain.port_forwards import PortForward

        if isinstance(value, PortForward):
            return value
        try:
            return PortForward.parse(str(value))
        except InvalidPortForward as error:
            self.fail(str(error), param, ctx)


port_option = click.option(
    "-p",
    "--publish",
    "port_forwards",
    type=PortForwardType(),
    multiple=True,
    help="Forward a TCP port of 127.0.0.1, or of IP, to a port of the pod (repeatable); any free one without HOST.",
)

network_option = click.option(
    "--network",
    type=click.Choice(("none", "user")),
    default="none",
    show_default=True,
    help="What the pod reaches: nothing, or with `user` whatever this machine does, by slirp4netns or a VM's QEMU.",
)


def tell_ports(pod: Pod, asked: tuple[PortForward, ...], *, verbose: bool) -> None:
    """Say which ports were chosen where any was asked for; with `verbose`, say all."""
    if verbose or any(not forward.host_port for forward in asked):
        for port in pod.forwarded_ports():
            address = f"[{port.host_address}]" if ":" in port.host_address else port.host_address
            tell(f"port {port.container_port} of the pod is {address}:{port.host_port} here")
