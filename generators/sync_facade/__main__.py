"""`python -m generators.sync_facade DIRECTORY` writes the generated modules of `firkin.sync` there."""

from __future__ import annotations

import sys
from pathlib import Path

from .modules import generated_modules


def main(directory: str) -> None:
    for name, text in generated_modules().items():
        Path(directory, name).write_text(text, "utf-8")


main(*sys.argv[1:])
