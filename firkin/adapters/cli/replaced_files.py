"""What of an image an ordinary user's templates lack, in words."""

from __future__ import annotations

from collections.abc import Mapping

_REPLACEMENTS = {
    "device": ("device file is an empty file", "device files are empty files"),
    "owner": ("file belongs to somebody else", "files belong to somebody else"),
    "attribute": ("extended attribute is missing", "extended attributes are missing"),
}


def replaced_words(replaced: Mapping[str, int]) -> str:
    """The kinds that are known, with their counts; "" when there is none."""
    return ", ".join(
        f"{count} {_REPLACEMENTS[kind][count != 1]}" for kind, count in replaced.items() if kind in _REPLACEMENTS
    )
