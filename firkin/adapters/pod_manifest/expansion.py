"""Variable references in commands: `$(NAME)`, and `$$` for a dollar sign.

As Kubernetes expands them: an unknown name stays as it is written, and what was put in is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Replace the references of `text`."""

    def replacement(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)
