"""What an adapter claims has to be true; what it does not claim, it either does all the same or refuses cleanly."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from firkin.domain.errors import Outcome, UnsupportedFeature

_refused: list[str] = []


@contextlib.contextmanager
def refused_unless_claimed(claimed: bool, what: str) -> Iterator[None]:
    """Run a body that may end in UnsupportedFeature, before it did anything, when `what` is not claimed."""
    try:
        yield
    except UnsupportedFeature as refusal:
        if claimed:
            raise AssertionError(f"{what} is claimed, and refused: {refusal}") from refusal
        if refusal.outcome not in (None, Outcome.DID_NOT):
            raise AssertionError(f"{what} is refused, and {refusal.outcome}") from refusal
        _refused.append(what)


def not_claimed(what: str) -> None:
    """Say that the adapter does not have something that it need not have, so that there was nothing to try."""
    _refused.append(what)


def told_refusals() -> list[str]:
    """What was refused since the last call."""
    refused = list(_refused)
    _refused.clear()
    return refused
