"""Reading the environment of a container: `env` and `envFrom`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fractions import Fraction

import msgspec

from firkin.domain.container_spec import ResourceLimits

from .documents import DataDocument, Documents
from .expansion import expanded
from .nodes import Field, made
from .quantity import parsed_quantity

POD_ADDRESS = "127.0.0.1"
"""Containers of a pod reach each other here; nobody else reaches them."""

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_ENV_NAME = re.compile(r"[^=\0]+")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


class PodFacts(msgspec.Struct, frozen=True):
    """What variables may refer to: of the pod, and of the file it is in."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    documents: Documents

    def value_of(self, path: str) -> str:
        """The value of a field of the pod, by the path that a fieldRef has for it.

        Raises:
            ValueError: firkin's pods have no such field.
        """
        fixed = {"metadata.name": self.name, "metadata.namespace": self.namespace, "status.podIP": POD_ADDRESS}
        subscript = _SUBSCRIPT.fullmatch(path)
        if subscript is not None:
            return (self.labels if subscript[1] == "labels" else self.annotations).get(subscript[2], "")
        if path not in fixed:
            known = ", ".join((*fixed, "metadata.labels['KEY']", "metadata.annotations['KEY']"))
            raise ValueError(f"{path} is not known here: firkin knows {known}")
        return fixed[path]

    def file_of(self, path: str) -> str:
        """What a file of the pod's field holds: that of a variable, or all labels or annotations, one in each line.

        Raises:
            ValueError: firkin's pods have no such field.
        """
        whole = {"metadata.labels": self.labels, "metadata.annotations": self.annotations}
        if path not in whole:
            return self.value_of(path)
        quoted = (f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in sorted(whole[path].items()))
        return "\n".join(quoted)


def read_environment(fields: Mapping[str, Field], pod: PodFacts, limits: ResourceLimits) -> dict[str, str]:
    """Read both; a variable of `env` goes before one of `envFrom`, and a later one before an earlier."""
    variables: dict[str, str] = {}
    for item in _items(fields.get("envFrom")):
        variables |= _of_document(item, pod.documents)
    known: dict[str, str] = {}
    for item in _items(fields.get("env")):
        stated = item.fields(("name", "value", "valueFrom"))
        name = made(item.required(stated, "name"), _checked_name)
        value = _value(item, stated, pod, limits, known)
        if name is not None and value is not None:
            known[name] = value
    return variables | known


def _items(field: Field | None) -> list[Field]:
    return [] if field is None else field.items()


def _checked_name(name: str) -> str:
    if _ENV_NAME.fullmatch(name) is None:
        raise ValueError(f"environment variable {name!r} is empty or contains '='")
    return name


def _value(
    item: Field, stated: Mapping[str, Field], pod: PodFacts, limits: ResourceLimits, known: Mapping[str, str]
) -> str | None:
    source = stated.get("valueFrom")
    if source is None:
        value = stated["value"].text() if "value" in stated else ""
        return None if value is None else expanded(value, known)
    if "value" in stated:
        item.problem("invalid-value", "give value or valueFrom, not both")
    kinds = source.fields(_SOURCES)
    if len(kinds) != 1:
        source.problem("invalid-value", f"give one of {', '.join(_SOURCES)}")
        return None
    ((kind, reference),) = kinds.items()
    match kind:
        case "fieldRef":
            fields = reference.fields(("fieldPath",), {"apiVersion": "there is one version only"})
            return made(reference.required(fields, "fieldPath"), pod.value_of)
        case "resourceFieldRef":
            return _resource(reference, limits)
        case "configMapKeyRef":
            return _of_key(reference, "ConfigMap", pod.documents.config_maps)
        case _:
            return _of_key(reference, "Secret", pod.documents.secrets)


def _resource(reference: Field, limits: ResourceLimits) -> str | None:
    fields = reference.fields(("resource", "divisor"), {"containerName": "it is this container's own limit"})
    amounts = {"limits.cpu": limits.cpus, "limits.memory": limits.memory_bytes}

    def amount(resource: str) -> Fraction:
        if resource not in amounts:
            raise ValueError(f"{resource} is not known here: firkin knows {', '.join(amounts)}")
        stated = amounts[resource]
        if stated is None:
            raise ValueError(f"{resource} cannot be told: the container has no such limit")
        return Fraction(str(stated))

    def divisor(text: str) -> Fraction:
        parsed = parsed_quantity(text)
        if parsed <= 0:
            raise ValueError(f"{text!r} must be more than 0")
        return parsed

    whole = made(reference.required(fields, "resource"), amount)
    part = made(fields.get("divisor"), divisor, Field.amount) or Fraction(1)
    return None if whole is None else str(-(-whole // part))


def _of_key(reference: Field, kind: str, documents: Mapping[str, DataDocument]) -> str | None:
    fields = reference.fields(("name", "key", "optional"))
    key_field = reference.required(fields, "key")
    key = None if key_field is None else key_field.text()
    document = named_document(reference, fields, kind, documents)
    if document is None or key is None or key_field is None:
        return None
    if key not in document.entries:
        if not is_optional(fields):
            key_field.problem("unknown-key", f"{kind} {document.name!r} has no key {key!r}")
        return None
    return _as_text(reference, key, document.entries[key])


def named_document(
    reference: Field, fields: Mapping[str, Field], kind: str, documents: Mapping[str, DataDocument], field: str = "name"
) -> DataDocument | None:
    """The document that a reference names; its absence is noted, unless it is optional."""
    name_field = reference.required(dict(fields), field)
    name = None if name_field is None else name_field.text()
    if name_field is None or name is None:
        return None
    if name not in documents and not is_optional(fields):
        name_field.problem("unknown-document", f"there is no {kind} {name!r} in this file")
    return documents.get(name)


def is_optional(fields: Mapping[str, Field]) -> bool:
    """Whether a reference may lead nowhere."""
    return "optional" in fields and fields["optional"].boolean() is True


def _of_document(item: Field, documents: Documents) -> dict[str, str]:
    fields = item.fields(("prefix", "configMapRef", "secretRef"))
    prefix = fields["prefix"].text() or "" if "prefix" in fields else ""
    found: dict[str, str] = {}
    for name, kind, known in (
        ("configMapRef", "ConfigMap", documents.config_maps),
        ("secretRef", "Secret", documents.secrets),
    ):
        if name in fields:
            document = named_document(fields[name], fields[name].fields(("name", "optional")), kind, known)
            for key, data in ({} if document is None else document.entries).items():
                text = _as_text(item, key, data)
                if text is not None:
                    found[f"{prefix}{key}"] = text
    if ("configMapRef" in fields) == ("secretRef" in fields):
        item.problem("invalid-value", "give one of configMapRef and secretRef")
    return found


def _as_text(field: Field, key: str, data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        field.problem("invalid-value", f"the value of {key!r} is not text in UTF-8, which a variable has to be")
        return None
    if "\0" in text:
        field.problem("invalid-value", f"the value of {key!r} contains NUL")
        return None
    return text
