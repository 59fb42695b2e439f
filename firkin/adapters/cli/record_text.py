"""What a pod's record looks like, as words and as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firkin.domain.supervised_pod import PodRecord

_UNITS = ((86400 * 2, 86400, "days"), (3600 * 2, 3600, "hours"), (60 * 2, 60, "minutes"))
_PLACEHOLDER = re.compile(r"\{\{\s*(json\s+)?\.([\w.-]*)\s*\}\}")


def age(seconds: float) -> str:
    """How long that is, in one unit."""
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{int(seconds // unit)} {name}"
    count = max(int(seconds), 0)
    return f"{count} second" if count == 1 else f"{count} seconds"


def status_text(record: PodRecord, now: float) -> str:
    """How a pod is."""
    from firkin.domain.supervised_pod import SupervisedPhase

    match record.phase:
        case SupervisedPhase.RUNNING:
            lasting = [one for one in record.containers if not one.is_init]
            ready = sum(one.ready for one in lasting)
            counts = "" if ready == len(lasting) else f" ({ready}/{len(lasting)} ready)"
            return f"running {age(now - record.started)}{counts}"
        case SupervisedPhase.EXITED:
            return f"exited ({record.exit_code}) {age(now - record.ended)} ago"
        case SupervisedPhase.FAILED | SupervisedPhase.ABANDONED:
            return f"{record.phase} {age(now - record.ended)} ago"
    return str(record.phase)


def record_values(record: PodRecord) -> dict[str, object]:
    """The record as JSON has it, with the pod's exit code, None before its end."""
    import json

    values: dict[str, object] = json.loads(record.to_json())
    values["exit_code"] = record.exit_code if record.phase.is_over else None
    return values


def formatted(template: str, values: Mapping[str, object]) -> str:
    """Fill `{{.field.field}}` and `{{json .field}}` in; of lists, by number or by the id of the item.

    Raises:
        UsageError: there is no such field, or a `{{` or `}}` that belongs to none.
    """
    import json

    literal = _PLACEHOLDER.sub("", template)
    if "{{" in literal or "}}" in literal:
        forms = "{{.FIELD}} or {{json .FIELD}}"
        raise click.UsageError(f"{template!r} has braces that name no field: write {forms}")

    def filled(match: re.Match[str]) -> str:
        value = _field(values, match[2])
        return json.dumps(value) if match[1] or isinstance(value, dict | list) else _plain(value)

    return _PLACEHOLDER.sub(filled, template)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _field(values: object, path: str) -> object:
    for name in filter(None, path.split(".")):
        choices = _choices(values)
        if name not in choices:
            raise click.UsageError(f"there is no field {name!r} in {path!r}; there are: {', '.join(choices) or 'none'}")
        values = choices[name]
    return values


def _choices(values: object) -> dict[str, object]:
    if isinstance(values, list):
        by_id = {str(one["id"]): one for one in values if isinstance(one, dict) and "id" in one}
        return {**{str(number): one for number, one in enumerate(values)}, **by_id}
    return dict(values) if isinstance(values, dict) else {}
