"""Reading volumes of files: of ConfigMaps and Secrets, of the pod's own fields, and of all of these together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from firkin.domain.guest_path import checked_relative_path
from firkin.domain.volumes import VolumeFile

from .documents import DataDocument
from .environment import PodFacts, is_optional, named_document
from .nodes import Field, made

_DEFAULT_MODE = 0o644
_SOURCES = ("configMap", "secret", "downwardAPI")


def read_config_map_files(field: Field | None, facts: PodFacts) -> list[VolumeFile]:
    """Read `configMap`."""
    return _document_files(field, "ConfigMap", facts.documents.config_maps, "name", ("defaultMode",))


def read_secret_files(field: Field | None, facts: PodFacts) -> list[VolumeFile]:
    """Read `secret`."""
    return _document_files(field, "Secret", facts.documents.secrets, "secretName", ("defaultMode",))


def read_downward_files(field: Field | None, facts: PodFacts) -> list[VolumeFile]:
    """Read `downwardAPI`."""
    return _downward_files(field, facts, ("defaultMode",))


def read_projected_files(field: Field | None, facts: PodFacts) -> list[VolumeFile]:
    """Read `projected`; a later source of the same path goes before an earlier one, as in Kubernetes."""
    fields = {} if field is None else field.fields(("sources", "defaultMode"))
    files: dict[str, VolumeFile] = {}
    default_mode = _mode(fields.get("defaultMode"), _DEFAULT_MODE)
    for item in fields["sources"].items() if "sources" in fields else []:
        sources = item.fields(_SOURCES)
        if "serviceAccountToken" in item.entries():
            continue  # told as a field that is not honoured
        if len(sources) != 1 and item.is_object:
            item.problem("invalid-value", f"give one of {', '.join(_SOURCES)}")
        for kind, source in sources.items():
            files |= {file.path: file for file in _source_files(kind, source, facts, default_mode)}
    return list(files.values())


def _source_files(kind: str, field: Field, facts: PodFacts, default_mode: int) -> list[VolumeFile]:
    if kind == "configMap":
        return _document_files(field, "ConfigMap", facts.documents.config_maps, "name", (), default_mode)
    if kind == "secret":
        return _document_files(field, "Secret", facts.documents.secrets, "name", (), default_mode)
    return _downward_files(field, facts, (), default_mode)


def _mode(field: Field | None, otherwise: int) -> int:
    mode = None if field is None else field.mode()
    return otherwise if mode is None else mode


def _document_files(
    field: Field | None,
    kind: str,
    documents: Mapping[str, DataDocument],
    name: str,
    further: Iterable[str],
    mode: int = _DEFAULT_MODE,
) -> list[VolumeFile]:
    if field is None:
        return []
    fields = field.fields((name, "items", "optional", *further))
    document = named_document(field, fields, kind, documents, name)
    mode = _mode(fields.get("defaultMode"), mode)
    if document is None:
        return []
    if "items" not in fields:
        return [VolumeFile(key, data, mode) for key, data in document.entries.items()]
    read = [_item(item, document, kind, mode, optional=is_optional(fields)) for item in fields["items"].items()]
    return [file for file in read if file is not None]


def _item(item: Field, document: DataDocument, kind: str, mode: int, *, optional: bool) -> VolumeFile | None:
    fields = item.fields(("key", "path", "mode"))
    key_field = item.required(fields, "key")
    key = None if key_field is None else key_field.text()
    path = made(item.required(fields, "path"), checked_relative_path)
    mode = _mode(fields.get("mode"), mode)
    if key_field is None or key is None or path is None:
        return None
    if key not in document.entries:
        if not optional:
            key_field.problem("unknown-key", f"{kind} {document.name!r} has no key {key!r}")
        return None
    return VolumeFile(path, document.entries[key], mode)


def _downward_files(
    field: Field | None, facts: PodFacts, further: Iterable[str], mode: int = _DEFAULT_MODE
) -> list[VolumeFile]:
    fields = {} if field is None else field.fields(("items", *further))
    mode = _mode(fields.get("defaultMode"), mode)
    items = fields["items"].items() if "items" in fields else []
    read = [_file_of_field(item, facts, mode) for item in items]
    return [file for file in read if file is not None]


def _file_of_field(item: Field, facts: PodFacts, mode: int) -> VolumeFile | None:
    fields = item.fields(("path", "fieldRef", "mode"))
    path = made(item.required(fields, "path"), checked_relative_path)
    mode = _mode(fields.get("mode"), mode)
    reference = item.required(fields, "fieldRef")
    stated = {} if reference is None else reference.fields(("fieldPath",), {"apiVersion": "there is one version only"})
    text = None if reference is None else made(reference.required(stated, "fieldPath"), facts.file_of)
    return None if path is None or text is None else VolumeFile(path, text.encode(), mode)
