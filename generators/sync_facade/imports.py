"""What a generated module imports."""

from __future__ import annotations

from .source import Home, TranslationError


class Imports:
    """Collects names; two different things under one name are refused."""

    def __init__(self) -> None:
        self._homes: dict[str, Home] = {}

    def add(self, home: Home, local: str = "") -> str:
        """Import `home` under the name `local`, its own when empty; returns the name."""
        name = local or home.name or home.module
        if self._homes.setdefault(name, home) != home:
            raise TranslationError(name, f"means both {self._homes[name]} and {home}")
        return name

    def lines(self) -> list[str]:
        """Import statements, in no particular order."""
        return [
            f"from {home.module} import {home.name} as {local}"
            if home.name not in ("", local)
            else (f"from {home.module} import {home.name}" if home.name else f"import {home.module}")
            for local, home in self._homes.items()
        ]
