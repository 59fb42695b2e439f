"""Asking a container how it is, and what is done at turns of its life."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import force_setattr

_PORT_MAXIMUM = 65535
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}", re.ASCII)
LOCALHOST = "127.0.0.1"
HTTP_SCHEMES = ("HTTP", "HTTPS")


class ExecAction(msgspec.Struct, frozen=True, tag="exec"):
    """A command that is run in the container: exit code 0 is a success."""

    command: tuple[str, ...]

    if TYPE_CHECKING:

        def __init__(self, command: Iterable[str]) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "command", tuple(self.command))


class HttpGetAction(msgspec.Struct, frozen=True, tag="httpGet"):
    """A GET request from inside the pod's network: an answer of 200 to 399 is a success.

    A redirection to the same host is followed, up to ten times; one to another host is a success.

    Attributes:
        port: of the pod.
        path: with its query, if any.
        scheme: HTTP or HTTPS; certificates are not verified, as Kubernetes does not.
        host: who is asked; the pod's localhost unless given.
        headers: in their order; they may name Host, User-Agent and Accept otherwise than firkin does.
    """

    port: int
    path: str = "/"
    scheme: str = "HTTP"
    host: str = LOCALHOST
    headers: tuple[tuple[str, str], ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            port: int,
            path: str = "/",
            scheme: str = "HTTP",
            host: str = LOCALHOST,
            headers: Iterable[tuple[str, str]] = (),
        ) -> None: ...

    def __post_init__(self) -> None:
        force_setattr(self, "headers", tuple(self.headers))


class TcpSocketAction(msgspec.Struct, frozen=True, tag="tcpSocket"):
    """A connection from inside the pod's network: that it is accepted is a success."""

    port: int
    host: str = LOCALHOST


class GrpcAction(msgspec.Struct, frozen=True, tag="grpc"):
    """A call of grpc.health.v1.Health/Check from inside the pod's network: the answer SERVING is a success.

    Attributes:
        port: of the pod.
        service: whose health is asked for; "" for the whole server's.
    """

    port: int
    service: str = ""
    host: str = LOCALHOST


class SleepAction(msgspec.Struct, frozen=True, tag="sleep"):
    """A pause, which always succeeds; for hooks alone."""

    seconds: float


PortAction = HttpGetAction | TcpSocketAction | GrpcAction
"""What is asked of a port of the pod."""

ProbeAction = ExecAction | PortAction
HookAction = ExecAction | HttpGetAction | SleepAction


class Probe(msgspec.Struct, frozen=True):
    """A question that is put to a container again and again.

    Attributes:
        action: what is done: a command in the container, a GET request, a connection, or a call of gRPC.
        initial_delay_seconds: from the container's start to the first time.
        period_seconds: from one time to the next.
        timeout_seconds: how long one may take; what takes longer is broken off, and failed.
        success_threshold: how many successes in a row make up for a failure.
        failure_threshold: how many failures in a row count.
    """

    action: ProbeAction
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3

    @classmethod
    def exec(cls, *command: str) -> Probe:
        """A probe that runs a command, with Kubernetes' times."""
        return cls(ExecAction(command))

    @classmethod
    def http_get(cls, port: int, path: str = "/", scheme: str = "HTTP") -> Probe:
        """A probe that sends a GET request to a port of the pod, with Kubernetes' times."""
        return cls(HttpGetAction(port, path, scheme))

    @classmethod
    def tcp_socket(cls, port: int) -> Probe:
        """A probe that connects to a port of the pod, with Kubernetes' times."""
        return cls(TcpSocketAction(port))


class Probes(msgspec.Struct, frozen=True):
    """The probes of a container.

    Attributes:
        startup: until it succeeded, the others wait; when it fails for good, the container is killed.
        liveness: when it fails for good, the container is killed.
        readiness: tells `Container.ready`.
    """

    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None


class Hooks(msgspec.Struct, frozen=True):
    """What is done at turns of a container's life; None for nothing.

    Attributes:
        post_start: right after its start; when it fails, the container is killed.
        pre_stop: before it is asked to end; its time is taken off the grace period, and its failure changes nothing.
    """

    post_start: HookAction | None = None
    pre_stop: HookAction | None = None


def port_actions(probes: Probes, hooks: Hooks) -> tuple[PortAction, ...]:
    """All that is asked of ports, for which the guest agent has to dial."""
    asked = (probe.action for probe in (probes.startup, probes.liveness, probes.readiness) if probe is not None)
    actions = (*asked, hooks.post_start, hooks.pre_stop)
    return tuple(action for action in actions if isinstance(action, PortAction))


def action_problem(action: ProbeAction | HookAction) -> str | None:
    """What is wrong with an action, or None."""
    match action:
        case ExecAction(command):
            return None if command and command[0] else "it needs a command"
        case SleepAction(seconds):
            return None if seconds >= 0 else "it cannot sleep for less than 0 s"
        case _ if not 0 < action.port <= _PORT_MAXIMUM:
            return f"{action.port} is not a port between 1 and {_PORT_MAXIMUM}"
        case _ if _HOST.fullmatch(action.host) is None:
            return f"{action.host!r} is neither an address nor the name of a machine"
        case HttpGetAction(scheme=scheme) if scheme not in HTTP_SCHEMES:
            return f"scheme {scheme!r} is neither HTTP nor HTTPS"
        case HttpGetAction(path=path, headers=headers):
            texts = [path, *(text for header in headers for text in header)]
            if not path.startswith("/"):
                return f"path {path!r} does not begin with '/'"
            return _text_problem(texts, names=[name for name, _ in headers])
        case GrpcAction(service=service):
            return _text_problem([service], names=[])
        case TcpSocketAction():
            return None


def _text_problem(texts: Iterable[str], names: Iterable[str]) -> str | None:
    """What would end a line of the request, and begin another."""
    for text in texts:
        if not text.isprintable():
            return f"{text!r} contains a character that cannot be printed"
    for name in names:
        if not name or not name.isascii() or any(character in " :" for character in name):
            return f"{name!r} is not the name of a header"
    return None
