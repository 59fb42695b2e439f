"""Docstrings, in the words of synchronous callers."""

from __future__ import annotations

_WORDS = (
    ("`await` it, or `async with`", "on its own, or in `with`"),
    ("`async with`", "`with`"),
    ("async context manager", "context manager"),
    ("awaiting the result gives its handle", "returns its handle"),
    ("awaiting the result waits", "waits"),
    ("may be awaited by many, and after the end", "any number of threads may wait, also after the end"),
    ("Cancelling this call", "Interrupting this call"),
    ("cancelling the wait", "interrupting the wait"),
    ("A failed or cancelled", "A failed or interrupted"),
    ("a failed or cancelled", "a failed or interrupted"),
    ("another task", "another thread"),
)


def reworded(docstring: str) -> str:
    """The same promise, for somebody who calls from a thread."""
    for asynchronous, synchronous in _WORDS:
        docstring = docstring.replace(asynchronous, synchronous)
    return docstring
