"""Reading JSON into values, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")

# msgspec (0.22) prepares what it knows of a Struct at the type's first use, and not in one step: a second thread that
# decodes the same type meanwhile finds it half prepared, and the process crashes.
_preparing = threading.Lock()
_decoders: dict[object, msgspec.json.Decoder[Any]] = {}


def decoded_json(
    data: bytes | str | msgspec.Raw, kind: type[_T], convert: Callable[[type, Any], Any] | None = None
) -> _T:
    """As `msgspec.json.decode(data, type=kind, dec_hook=convert)`, for types that several threads read.

    A type always comes with the same `convert`.

    Raises:
        msgspec.DecodeError: the bytes are not JSON.
        msgspec.ValidationError: they are not such a value.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        with _preparing:
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind, dec_hook=convert))
    try:
        decoded: _T = decoder.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"JSON is not UTF-8: {error}") from error
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deep") from None
    return decoded
