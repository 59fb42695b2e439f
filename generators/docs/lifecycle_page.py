"""The lifecycle, drawn from the tables that decide it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import TypeVar

from firkin.domain.lifecycle import CONTAINER_TRANSITIONS, POD_TRANSITIONS, ContainerPhase, PodPhase

Phase = TypeVar("Phase", bound=enum.StrEnum)
Event = TypeVar("Event", bound=enum.StrEnum)

_HEAD = """# Lifecycle

Made from `firkin/domain/lifecycle.py`, the only place that says which phase follows which: what has no arrow raises
`IllegalTransition`. The diagrams are in the language of Mermaid.
"""


def lifecycle_page() -> str:
    """The page."""
    parts = [_HEAD, "## Pods\n", *_drawn(POD_TRANSITIONS, PodPhase.VALIDATED)]
    parts += ["## Containers\n", *_drawn(CONTAINER_TRANSITIONS, ContainerPhase.PENDING)]
    return "\n".join(parts)


def _drawn(table: Mapping[Phase, Mapping[Event, Phase]], start: Phase) -> Iterator[str]:
    arrows = [(phase, event, following) for phase, row in table.items() for event, following in row.items()]
    yield "```mermaid\nstateDiagram-v2"
    yield f"    [*] --> {_id(start)}"
    for phase, event, following in arrows:
        yield f"    {_id(phase)} --> {_id(following)}: {event}"
    for phase, row in table.items():
        if not row:
            yield f"    {_id(phase)} --> [*]"
    yield "```\n\n| phase | event | next |\n|---|---|---|"
    for phase, event, following in arrows:
        yield f"| {phase} | {event} | {following} |"
    yield ""


def _id(phase: enum.StrEnum) -> str:
    return phase.replace(" ", "_")
