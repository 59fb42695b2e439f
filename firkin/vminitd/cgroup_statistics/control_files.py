"""The few formats that files of control groups have. A file that is not there, or is nonsense, tells nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping


def read_text(directory: str, name: str) -> str | None:
    """The text of a control file; None when it cannot be read."""
    try:
        with open(os.path.join(directory, name), encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def read_number(directory: str, name: str) -> int | None:
    """The one number of a control file; None for `max` and for -1, too."""
    text = (read_text(directory, name) or "").strip()
    return int(text) if text.isdigit() else None


def read_pairs(directory: str, name: str) -> Mapping[str, int]:
    """The numbers of a control file of lines `key value`, by key."""
    fields = (line.split() for line in (read_text(directory, name) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in fields if len(pair) == 2 and pair[1].isdigit()}


def device_lines(text: str | None) -> Iterator[tuple[int, int, list[str]]]:
    """The lines of a control file that begin with a device: major, minor, and the fields that follow."""
    for line in (text or "").splitlines():
        device, *fields = line.split() or [""]
        major, colon, minor = device.partition(":")
        if colon and major.isdigit() and minor.isdigit():
            yield int(major), int(minor), fields
