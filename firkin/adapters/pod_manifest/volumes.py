"""Reading the volumes of a manifest: emptyDir, and the ConfigMaps and Secrets of the same file."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from firkin.domain.guest_path import checked_relative_path
from firkin.domain.ids import VolumeName
from firkin.domain.size import Size
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume, VolumeFile

from .documents import DataDocument, Documents
from .environment import is_optional, named_document
from .nodes import Field, made
from .quantity import byte_count

_KINDS = ("emptyDir", "configMap", "secret")
_HOST_PATH = "hostPath would show files of the host to containers, which firkin does not do"
_DEFAULT_MODE = 0o644


def read_volumes(field: Field | None, documents: Documents, group_id: int | None) -> dict[str, EmptyDirVolume]:
    """Read `spec.volumes`; all of them belong to the group, when there is one."""
    volumes: dict[str, EmptyDirVolume] = {}
    for item in [] if field is None else field.items():
        volume = _volume(item, documents)
        if volume is not None and volume.name in volumes:
            item.problem("duplicate-volume", f"volume {volume.name!r} is declared twice")
        if volume is not None:
            volumes.setdefault(volume.name, replace(volume, group_id=group_id))
    return volumes


def _volume(item: Field, documents: Documents) -> EmptyDirVolume | None:
    entries = item.entries()
    if "hostPath" in entries:
        entries["hostPath"].problem("unsupported-value", _HOST_PATH)
        return None
    fields = item.fields(("name", *_KINDS))
    name = made(item.required(fields, "name"), VolumeName)
    kinds = [kind for kind in _KINDS if kind in entries]
    if not kinds:
        item.problem("missing-field", f"a volume needs one of {', '.join(_KINDS)}")
    if len(kinds) > 1:
        item.problem("invalid-value", f"a volume has one kind, not {' and '.join(kinds)}")
    if name is None or len(kinds) != 1:
        return None
    stated = fields.get(kinds[0])
    match kinds[0]:
        case "configMap":
            return EmptyDirVolume.of_files(name, _files(stated, "ConfigMap", documents.config_maps, "name"))
        case "secret":
            return EmptyDirVolume.of_files(name, _files(stated, "Secret", documents.secrets, "secretName"))
        case _:
            # `emptyDir:` without anything is an emptyDir of the defaults, for Kubernetes too.
            return _empty_dir(name, stated)


def _empty_dir(name: VolumeName, field: Field | None) -> EmptyDirVolume:
    stated = {} if field is None else field.fields(("medium", "sizeLimit"))
    volume = EmptyDirVolume(name, _medium(stated.get("medium")))

    def limit(text: str) -> Size:
        size = Size(byte_count(text))
        if size < volume.minimum_limit:
            raise ValueError(f"{text} is less than {volume.minimum_limit}, the least for this medium")
        return size

    size_limit = made(stated.get("sizeLimit"), limit, Field.amount)
    return volume if size_limit is None else replace(volume, size_limit=size_limit)


def _medium(field: Field | None) -> EmptyDirMedium:
    medium = None if field is None else field.text()
    if field is not None and medium not in (None, "", "Memory"):
        field.problem("unsupported-value", f"medium {medium!r} is not honoured: write Memory, or nothing for the disk")
    return EmptyDirMedium.MEMORY if medium == "Memory" else EmptyDirMedium.DISK


def _files(field: Field | None, kind: str, documents: Mapping[str, DataDocument], name: str) -> list[VolumeFile]:
    if field is None:
        return []
    fields = field.fields((name, "items", "defaultMode", "optional"))
    document = named_document(field, fields, kind, documents, name)
    default_mode = fields["defaultMode"].mode() if "defaultMode" in fields else _DEFAULT_MODE
    mode = _DEFAULT_MODE if default_mode is None else default_mode
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
    own_mode = fields["mode"].mode() if "mode" in fields else None
    if key_field is None or key is None or path is None:
        return None
    if key not in document.entries:
        if not optional:
            key_field.problem("unknown-key", f"{kind} {document.name!r} has no key {key!r}")
        return None
    return VolumeFile(path, document.entries[key], mode if own_mode is None else own_mode)
