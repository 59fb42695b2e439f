"""The documents of a manifest beside its Pod: ConfigMap and Secret, for volumes and variables."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping

import msgspec

from .nodes import Field, made

_Decode = Callable[[str], bytes]
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)
_NO_API = "there is no server that it would matter to"
METADATA_INERT = dict.fromkeys(
    ("labels", "annotations", "creationTimestamp", "namespace", "resourceVersion", "uid"), _NO_API
)


class DataDocument(msgspec.Struct, frozen=True):
    """What a ConfigMap or a Secret holds, by key."""

    name: str
    entries: Mapping[str, bytes]


class Documents(msgspec.Struct, frozen=True):
    """All of one manifest, by name."""

    config_maps: Mapping[str, DataDocument] = {}
    secrets: Mapping[str, DataDocument] = {}


def read_config_map(root: Field) -> DataDocument | None:
    """Read a ConfigMap; None when it has no name."""
    fields = root.fields(("apiVersion", "kind", "metadata", "data", "binaryData"), {"immutable": _NO_API})
    entries = {**_texts(fields.get("data")), **_decoded(fields.get("binaryData"))}
    return _document(root, fields, entries)


def read_secret(root: Field) -> DataDocument | None:
    """Read a Secret; None when it has no name."""
    inert = {"immutable": _NO_API, "type": "every Secret is an opaque one"}
    fields = root.fields(("apiVersion", "kind", "metadata", "data", "stringData"), inert)
    entries = {**_decoded(fields.get("data")), **_texts(fields.get("stringData"))}
    return _document(root, fields, entries)


def _document(root: Field, fields: dict[str, Field], entries: dict[str, bytes]) -> DataDocument | None:
    metadata = root.required(fields, "metadata")
    names = {} if metadata is None else metadata.fields(("name",), METADATA_INERT)
    name = None if metadata is None else made(metadata.required(names, "name"), str)
    return None if name is None else DataDocument(name, entries)


def _texts(field: Field | None) -> dict[str, bytes]:
    return _entries(field, str.encode)


def _decoded(field: Field | None) -> dict[str, bytes]:
    return _entries(field, _from_base64)


def _entries(field: Field | None, decode: _Decode) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key, entry in ({} if field is None else field.entries()).items():
        if _KEY.fullmatch(key) is None or key in (".", ".."):
            entry.problem("invalid-value", f"key {key!r} is not 1 to 253 letters, digits, '-', '_' and '.'")
            continue
        data = made(entry, decode)
        if data is not None:
            entry.honoured()
            found[key] = data
    return found


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from error
