"""The record of a pod as a file, written aside and renamed into place."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from firkin.domain.supervised_pod import PodRecord

RECORD = "pod.json"


def write_record(directory: Path, record: PodRecord) -> None:
    """Replace the record, whole or not at all.

    Raises:
        OSError: it cannot be written; its name is that of the record.
    """
    aside = directory / f".{RECORD}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(record.to_json())
        os.replace(aside, directory / RECORD)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise OSError(error.errno, error.strerror, str(directory / RECORD)) from error


def read_record(directory: Path) -> PodRecord | None:
    """The record; None when there is none that can be read, as of a pod that is being removed."""
    try:
        return PodRecord.from_json((directory / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
