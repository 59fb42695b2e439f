"""Reading probes and lifecycle hooks."""

from __future__ import annotations

from collections.abc import Mapping

from firkin.domain.probes import Hooks, Probe, Probes

from .nodes import Field

_TIMES = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
_OTHER_ACTIONS = ("httpGet", "tcpSocket", "grpc", "sleep")


def read_probes(fields: Mapping[str, Field]) -> Probes:
    """Read the three probes of a container."""
    return Probes(
        startup=_probe(fields.get("startupProbe"), is_readiness=False),
        liveness=_probe(fields.get("livenessProbe"), is_readiness=False),
        readiness=_probe(fields.get("readinessProbe"), is_readiness=True),
    )


def read_hooks(field: Field | None) -> Hooks:
    """Read `lifecycle`."""
    fields = {} if field is None else field.fields(("postStart", "preStop"))
    return Hooks(_action(fields.get("postStart"), ()), _action(fields.get("preStop"), ()))


def _probe(field: Field | None, *, is_readiness: bool) -> Probe | None:
    if field is None:
        return None
    command = _action(field, _TIMES)
    stated = {name: entry for name, entry in field.entries().items() if name in _TIMES and not entry.is_null}
    numbers = {name: _number(stated[name], name) for name in stated}
    if not is_readiness and numbers.get("successThreshold", 1) != 1:
        stated["successThreshold"].problem("invalid-value", "it has to be 1: a success is enough")
    if not command:
        return None
    return Probe(
        command,
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


def _action(field: Field | None, others: tuple[str, ...]) -> tuple[str, ...]:
    """The command of an `exec` action; () after a problem."""
    if field is None:
        return ()
    entries = field.entries()
    refused = [name for name in _OTHER_ACTIONS if name in entries]
    for name in refused:
        entries[name].problem("unsupported-value", "only exec is honoured: run a command in the container that asks")
    fields = field.fields(("exec", *_OTHER_ACTIONS, *others))
    action = fields.get("exec")
    if action is None:
        if not refused:
            field.problem("missing-field", "exec is missing")
        return ()
    stated = action.fields(("command",))
    command_field = action.required(stated, "command")
    command = [] if command_field is None else [item.text() for item in command_field.items()]
    if command_field is not None and not command:
        command_field.problem("invalid-value", "it needs at least the name of a program")
    return tuple(text for text in command if text is not None)
