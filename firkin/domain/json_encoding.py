"""Writing values that may hold names of files, which need not be UTF-8, as JSON, which must be."""

from __future__ import annotations

import json

import msgspec


def encoded_json(value: object) -> bytes:
    """As `msgspec.json.encode`, with ids as strings, and a question mark for each byte that is no UTF-8."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(value, enc_hook=str, str_keys=True)
        return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace")
