"""Errors as plain values, for the way from one process of firkin to another."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec

from .base import FirkinError, restored

_PLAIN = str | int | float | bool | None


class ErrorDescription(msgspec.Struct, frozen=True):
    """What of an error can be told: its class by code, its sentence, its plain attributes, and what its stages took."""

    code: str
    message: str
    attributes: dict[str, str | int | float | bool | None] = {}
    stage_seconds: dict[str, float] = {}


def described(error: FirkinError) -> ErrorDescription:
    """The description of an error; attributes that are no plain values are left behind."""
    plain = {name: _as_plain(value) for name, value in vars(error).items() if isinstance(value, _PLAIN)}
    return ErrorDescription(type(error).code, _text(str(error)), plain, dict(error.stage_seconds))


def _as_plain(value: _PLAIN) -> _PLAIN:
    # Ids are strings, and outcomes are, but not for an encoder.
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    # Names of files need not be UTF-8, what carries descriptions must be.
    return value.encode("utf-8", "backslashreplace").decode()


def raised_again(description: ErrorDescription) -> FirkinError:
    """An error of the described class, or of the root of all when that is not known here."""
    kind = _classes_by_code().get(description.code, FirkinError)
    attributes: dict[str, object] = {**vars(FirkinError("")), **description.attributes}
    attributes["stage_seconds"] = description.stage_seconds
    return restored(kind, (description.message,), attributes)


@functools.cache
def _classes_by_code() -> Mapping[str, type[FirkinError]]:
    found: dict[str, type[FirkinError]] = {}
    waiting: list[type[FirkinError]] = [FirkinError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "code" in vars(kind):
            found[kind.code] = kind
    return found
