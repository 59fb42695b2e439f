"""Variable references in commands: `$(NAME)`, and `$$` for a dollar sign.

As Kubernetes expands them: an unknown name stays as it is written, and what was put in is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace the references of `text`."""

    def replacement(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)


def expanded_environment(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Replace the references of each value, by the variables above it."""
    known: dict[str, str] = {}
    for name, value in pairs:
        known[name] = expanded(value, known)
    return tuple(known.items())
