"""The YAML of a manifest, parsed within bounds."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from .nodes import Field
from .problems import Problems

_MAX_DEPTH = 32
_MAX_NODES = 20_000


def _bounds_problem(text: str) -> tuple[int, str] | None:
    """The line and reason of aliases, and of more or deeper nodes than a pod can need.

    Parsing events is not recursive, composing nodes is.
    """
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            return line, "aliases (*name) are not read: write the value out"
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        count += isinstance(event, yaml.NodeEvent)
        if depth > _MAX_DEPTH:
            return line, f"it is nested more than {_MAX_DEPTH} deep"
        if count > _MAX_NODES:
            return line, f"it has more than {_MAX_NODES} values"
    return None


def composed(text: str, problems: Problems) -> list[Field]:
    """Parse YAML; one field for each document that is not empty, none after noting what is wrong with it."""
    try:
        excess = _bounds_problem(text)
        if excess is not None:
            problems.add(excess[0], "manifest", "too-long", excess[1])
            return []
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reasons = tuple(_reasons(error))
        problems.add(mark.line + 1 if mark else 1, "manifest", "yaml", ", ".join(reasons))
        return []
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(line, "manifest", "yaml", f"{chr(error.character)!r} may not occur in YAML")
        return []
    # A document of comments alone, as between two `---`, is null.
    documents = [Field(node, "", problems) for node in nodes if node is not None]
    stated = [document for document in documents if not document.is_null]
    if not stated:
        problems.add(1, "manifest", "yaml", "it is empty")
    return stated


def _reasons(error: yaml.MarkedYAMLError) -> Iterator[str]:
    if error.context:
        yield error.context
    if error.problem:
        yield error.problem
