"""The keys that end an attachment, written as docker writes them: `ctrl-p,ctrl-q`, `a,ctrl-]`."""

from __future__ import annotations

import click

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"

_CONTROL = "ctrl-"
_CONTROLLABLE = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


class DetachKeys:
    """Finds the sequence in what is typed. A beginning of it is held back until it is known what it becomes."""

    def __init__(self, sequence: bytes) -> None:
        """`sequence` may be empty: then nothing detaches."""
        self._sequence = sequence
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take what was typed; tells what of it is meant for the process, and whether the keys were pressed.

        What follows the keys is dropped.
        """
        if not self._sequence:
            return data, False
        passed = bytearray()
        for byte in data:
            self._held += bytes((byte,))
            if self._held == self._sequence:
                self._held = b""
                return bytes(passed), True
            while not self._sequence.startswith(self._held):
                passed += self._held[:1]
                self._held = self._held[1:]
        return bytes(passed), False


class DetachKeysType(click.ParamType[bytes]):
    """Reads keys separated by commas: a character, or `ctrl-` and one of a to z, @ [ \\ ] ^ _."""

    name = "KEYS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        text = str(value)
        return b"".join(self._key(key, param, ctx) for key in text.split(",")) if text else b""

    def _key(self, key: str, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        letter = key.removeprefix(_CONTROL).lower()
        if key.startswith(_CONTROL) and len(letter) == 1 and letter in _CONTROLLABLE:
            return bytes((_CONTROLLABLE.index(letter),))
        if len(key) == 1 and key.isascii():
            return key.encode()
        self.fail(f"{key!r} is not a key: give a character, or ctrl- and a letter or one of @ [ \\ ] ^ _", param, ctx)
