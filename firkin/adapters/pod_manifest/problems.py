"""What is wrong with a manifest, and what becomes of each of its fields."""

from __future__ import annotations

from typing import NamedTuple

from firkin.domain.errors import ManifestError, SpecProblem


class FieldReport(NamedTuple):
    """What becomes of one field: `honoured`, `without effect` (with the reason) or `refused` (with the problem)."""

    line: int
    where: str
    verdict: str
    detail: str = ""


class Problems:
    """Collects what is wrong with one manifest, and what becomes of each of its fields."""

    def __init__(self, source: str) -> None:
        self._source = source
        # A place may be read several times: what is wrong there is told once, in the order in which it was found.
        self._found: dict[tuple[int, SpecProblem], None] = {}
        self._reports: list[FieldReport] = []

    def report(self, line: int, where: str, verdict: str, detail: str = "") -> None:
        """Note what becomes of a field that is in order."""
        self._reports.append(FieldReport(line, where, verdict, detail))

    def reports(self) -> tuple[FieldReport, ...]:
        """What becomes of every field, from the manifest's top to its end."""
        wrong = [
            FieldReport(line, one.where, "refused", one.message.partition(": ")[2] or one.message)
            for line, one in self._found
        ]
        refused = {one.where for one in wrong}
        # What is said of a value goes before what is said of the field.
        kept = {(one.line, one.where): one for one in self._reports if one.where not in refused}
        return tuple(sorted([*kept.values(), *wrong], key=lambda one: (one.line, one.where)))

    def add(self, line: int, where: str, code: str, message: str) -> None:
        """Note a problem; `line` counts from 1."""
        self._found[line, SpecProblem(where, code, f"line {line}: {message}")] = None

    def error(self) -> ManifestError:
        """The error that tells all of them, from the manifest's top to its end."""
        ordered = sorted(self._found, key=lambda found: found[0])
        return ManifestError(self._source, tuple(problem for _, problem in ordered))

    def __bool__(self) -> bool:
        return bool(self._found)
