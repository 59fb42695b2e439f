"""The matrix of promises: which adapter keeps which promise of its port."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path

import msgspec


class Verdict(enum.StrEnum):
    """What became of one promise."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_CLAIMED = "not claimed, and refused cleanly"
    SKIPPED = "not tried"


_WORST_FIRST = (Verdict.BROKEN, Verdict.SKIPPED, Verdict.NOT_CLAIMED, Verdict.KEPT)
_SIGNS = {Verdict.KEPT: "yes", Verdict.BROKEN: "NO", Verdict.NOT_CLAIMED: "refused", Verdict.SKIPPED: "-"}


class Promise(msgspec.Struct, frozen=True):
    """One promise of a port, made by one adapter."""

    port: str
    adapter: str
    sentence: str


class Matrix:
    """Collects verdicts; of a promise that is tried several times, the worst counts."""

    def __init__(self) -> None:
        self._verdicts: dict[Promise, Verdict] = {}

    def __bool__(self) -> bool:
        return bool(self._verdicts)

    def add(self, promise: Promise, verdict: Verdict) -> None:
        """Note what a test found."""
        known = self._verdicts.get(promise, Verdict.KEPT)
        self._verdicts[promise] = min(known, verdict, key=_WORST_FIRST.index)

    def as_json(self) -> bytes:
        """A list of objects with `port`, `adapter`, `promise` and `verdict`."""
        rows = [
            {"port": one.port, "adapter": one.adapter, "promise": one.sentence, "verdict": verdict}
            for one, verdict in self._verdicts.items()
        ]
        return msgspec.json.format(msgspec.json.encode({"promises": rows}), indent=2) + b"\n"

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.as_json())

    def lines(self, in_full: bool) -> Iterable[str]:
        """The matrix for a terminal: one table per port, or one line per adapter."""
        for port in dict.fromkeys(promise.port for promise in self._verdicts):
            adapters = list(dict.fromkeys(one.adapter for one in self._verdicts if one.port == port))
            for adapter in adapters:
                yield f"{port:18}{adapter:28}{self._counts(port, adapter)}"
            if in_full:
                yield from self._table(port, adapters)

    def _counts(self, port: str, adapter: str) -> str:
        verdicts = [verdict for one, verdict in self._verdicts.items() if (one.port, one.adapter) == (port, adapter)]
        counted = ((verdict, verdicts.count(verdict)) for verdict in reversed(_WORST_FIRST))
        return ", ".join(f"{count} {verdict}" for verdict, count in counted if count)

    def _table(self, port: str, adapters: list[str]) -> Iterable[str]:
        for sentence in dict.fromkeys(one.sentence for one in self._verdicts if one.port == port):
            cells = (self._verdicts.get(Promise(port, adapter, sentence)) for adapter in adapters)
            yield "    " + " ".join(f"{_SIGNS[cell] if cell else '':8}" for cell in cells) + sentence
