"""A deliberate bug in a copy of the adapters in memory, with the port whose contract has to notice it."""

from __future__ import annotations

import msgspec


class Mutant(msgspec.Struct, frozen=True):
    """One bug: in `module`, `right` is replaced by `wrong`; a contract test with `promise` in its name notices."""

    name: str
    fixture: str
    promise: str
    module: str
    right: str
    wrong: str
