"""Reading probes and lifecycle hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from firkin.domain.probes import (
    HTTP_SCHEMES,
    LOCALHOST,
    ExecAction,
    GrpcAction,
    HookAction,
    Hooks,
    HttpGetAction,
    Probe,
    ProbeAction,
    Probes,
    SleepAction,
    TcpSocketAction,
    action_problem,
)

from .nodes import Field, made

_TIMES = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
_OWN_GRACE = "it has its container's: terminationGracePeriodSeconds of the pod"
_PROBE_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_ACTIONS = ("exec", "httpGet", "sleep")
_PORT_MAXIMUM = 65535

Ports = Mapping[str, int]
"""The numbers of a container's ports that have names."""

_Action = TypeVar("_Action", bound=ProbeAction | HookAction)


def read_probes(fields: Mapping[str, Field], ports: Ports) -> Probes:
    """Read the three probes of a container."""
    return Probes(
        startup=_probe(fields.get("startupProbe"), ports, is_readiness=False),
        liveness=_probe(fields.get("livenessProbe"), ports, is_readiness=False),
        readiness=_probe(fields.get("readinessProbe"), ports, is_readiness=True),
    )


def read_hooks(field: Field | None, ports: Ports) -> Hooks:
    """Read `lifecycle`."""
    fields = {} if field is None else field.fields(("postStart", "preStop"))
    return Hooks(_hook(fields.get("postStart"), ports), _hook(fields.get("preStop"), ports))


def _probe(field: Field | None, ports: Ports, *, is_readiness: bool) -> Probe | None:
    if field is None:
        return None
    fields = field.fields((*_PROBE_ACTIONS, *_TIMES, "terminationGracePeriodSeconds"))
    if "terminationGracePeriodSeconds" in fields:
        fields.pop("terminationGracePeriodSeconds").problem("unsupported-value", _OWN_GRACE)
    stated = {name: fields[name] for name in _TIMES if name in fields}
    numbers = {name: _number(stated[name], name) for name in stated}
    if not is_readiness and numbers.get("successThreshold", 1) != 1:
        stated["successThreshold"].problem("invalid-value", "it has to be 1: a success is enough")
    chosen = _chosen(field, fields, _PROBE_ACTIONS)
    action = None if chosen is None else _probe_action(*chosen, ports)
    if action is None:
        return None
    return Probe(
        action,
        initial_delay_seconds=numbers.get("initialDelaySeconds", 0),
        period_seconds=numbers.get("periodSeconds", 10),
        timeout_seconds=numbers.get("timeoutSeconds", 1),
        success_threshold=numbers.get("successThreshold", 1),
        failure_threshold=numbers.get("failureThreshold", 3),
    )


def _number(field: Field, name: str) -> int:
    number = field.integer()
    if number == 0 and name != "initialDelaySeconds":
        field.problem("invalid-value", "it has to be 1 or more")
    return number or (0 if name == "initialDelaySeconds" else 1)


def _hook(field: Field | None, ports: Ports) -> HookAction | None:
    if field is None:
        return None
    fields = field.fields((*_HOOK_ACTIONS, "tcpSocket"))
    if "tcpSocket" in fields:
        message = "a hook cannot be a connection, neither in Kubernetes: use exec, httpGet or sleep"
        fields["tcpSocket"].problem("unsupported-value", message)
        return None
    chosen = _chosen(field, fields, _HOOK_ACTIONS)
    if chosen is None:
        return None
    kind, action = chosen
    match kind:
        case "exec":
            return _exec(action)
        case "httpGet":
            return _http_get(action, ports)
        case _:
            seconds_field = action.required(action.fields(("seconds",)), "seconds")
            seconds = None if seconds_field is None else seconds_field.integer()
            return None if seconds is None else SleepAction(float(seconds))


def _chosen(field: Field, fields: Mapping[str, Field], kinds: tuple[str, ...]) -> tuple[str, Field] | None:
    """The one action that is given."""
    given = [(kind, fields[kind]) for kind in kinds if kind in fields]
    if not given and field.is_object:
        field.problem("missing-field", f"it needs one of {', '.join(kinds)}")
    if len(given) > 1:
        field.problem("invalid-value", f"it can be one of {' and '.join(kind for kind, _ in given)} only")
    return given[0] if len(given) == 1 else None


def _probe_action(kind: str, field: Field, ports: Ports) -> ProbeAction | None:
    match kind:
        case "exec":
            return _exec(field)
        case "httpGet":
            return _http_get(field, ports)
        case "tcpSocket":
            fields = field.fields(("port", "host"))
            port = _port(field.required(fields, "port"), ports)
            return None if port is None else _checked(field, TcpSocketAction(port, _host(fields)))
        case _:
            fields = field.fields(("port", "service"))
            port = _port(field.required(fields, "port"), {})
            service = made(fields.get("service"), str) or ""
            return None if port is None else _checked(field, GrpcAction(port, service))


def _exec(action: Field) -> ExecAction | None:
    command_field = action.required(action.fields(("command",)), "command")
    command = [] if command_field is None else [item.text() for item in command_field.items()]
    if command_field is not None and not command:
        command_field.problem("invalid-value", "it needs at least the name of a program")
    return ExecAction([text for text in command if text is not None]) if command else None


def _http_get(field: Field, ports: Ports) -> HttpGetAction | None:
    fields = field.fields(("port", "path", "host", "scheme", "httpHeaders"))
    port = _port(field.required(fields, "port"), ports)
    path = made(fields.get("path"), str) or "/"
    scheme = made(fields.get("scheme"), _scheme) or "HTTP"
    items = [] if "httpHeaders" not in fields else fields["httpHeaders"].items()
    headers = [header for header in map(_header, items) if header is not None]
    if port is None:
        return None
    # Kubernetes puts the slash there that is missing.
    action = HttpGetAction(port, path if path.startswith("/") else f"/{path}", scheme, _host(fields), headers)
    return _checked(field, action)


def _checked(field: Field, action: _Action) -> _Action | None:
    wrong = action_problem(action)
    if wrong is not None:
        field.problem("invalid-value", wrong)
        return None
    return action


def _host(fields: Mapping[str, Field]) -> str:
    return made(fields.get("host"), str) or LOCALHOST


def _scheme(text: str) -> str:
    if text not in HTTP_SCHEMES:
        raise ValueError(f"{text!r} is neither {' nor '.join(HTTP_SCHEMES)}")
    return text


def _header(item: Field) -> tuple[str, str] | None:
    fields = item.fields(("name", "value"))
    name = made(item.required(fields, "name"), str)
    value = made(fields.get("value"), str) or ""
    return None if name is None else (name, value)


def _port(field: Field | None, ports: Ports) -> int | None:
    """A number, or the name of one of the container's ports."""
    if field is None:
        return None
    text = field.amount()
    if text is None:
        return None
    if not text.isdecimal():
        if text not in ports:
            field.problem("unknown-port", f"the container has no port {text!r} among its ports")
        return ports.get(text)
    if not 0 < int(text) <= _PORT_MAXIMUM:
        field.problem("invalid-value", f"{text} is not a port between 1 and {_PORT_MAXIMUM}")
        return None
    return int(text)
