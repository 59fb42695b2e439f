"""Reading the volumes of a manifest."""

from __future__ import annotations

import os.path
from collections.abc import Sequence

from msgspec.structs import replace

from firkin.domain.errors import HostPathRefused
from firkin.domain.host_paths import HostPathKind, HostPathVolume, allowing_prefix, host_path_problems
from firkin.domain.ids import VolumeName
from firkin.domain.size import Size
from firkin.domain.validation import Volume
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume

from .environment import PodFacts
from .nodes import Field, made
from .quantity import byte_count
from .volume_files import read_config_map_files, read_downward_files, read_projected_files, read_secret_files

_KINDS = ("emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected")
_HOST_PATH_KINDS = tuple(kind.value for kind in HostPathKind if kind.value)


def read_volumes(
    field: Field | None, facts: PodFacts, group_id: int | None, allow_host_paths: Sequence[str]
) -> dict[str, Volume]:
    """Read `spec.volumes`; those that are the pod's own belong to the group, when there is one."""
    volumes: dict[str, Volume] = {}
    for item in [] if field is None else field.items():
        volume = _volume(item, facts, allow_host_paths)
        if volume is not None and volume.name in volumes:
            item.problem("duplicate-volume", f"volume {volume.name!r} is declared twice")
        if isinstance(volume, EmptyDirVolume):
            volume = replace(volume, group_id=group_id)
        if volume is not None:
            volumes.setdefault(volume.name, volume)
    return volumes


def _volume(item: Field, facts: PodFacts, allow_host_paths: Sequence[str]) -> Volume | None:
    entries = item.entries()
    fields = item.fields(("name", *_KINDS))
    name = made(item.required(fields, "name"), VolumeName)
    kinds = [kind for kind in _KINDS if kind in entries]
    if not kinds and item.is_object:
        item.problem("missing-field", f"a volume needs one of {', '.join(_KINDS)}")
    if len(kinds) > 1:
        item.problem("invalid-value", f"a volume has one kind, not {' and '.join(kinds)}")
    if name is None or len(kinds) != 1:
        return None
    stated = fields.get(kinds[0])
    match kinds[0]:
        case "hostPath":
            return None if stated is None else _host_path(name, stated, allow_host_paths)
        case "configMap":
            return EmptyDirVolume.of_files(name, read_config_map_files(stated, facts))
        case "secret":
            return EmptyDirVolume.of_files(name, read_secret_files(stated, facts))
        case "downwardAPI":
            return EmptyDirVolume.of_files(name, read_downward_files(stated, facts))
        case "projected":
            return EmptyDirVolume.of_files(name, read_projected_files(stated, facts))
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


def _host_path(name: VolumeName, field: Field, allowed: Sequence[str]) -> HostPathVolume | None:
    fields = field.fields(("path", "type"))
    kind = made(fields.get("type"), _host_path_kind) or HostPathKind.ANY

    def volume(text: str) -> HostPathVolume:
        if ".." in text.split("/"):
            raise ValueError(f"host path {text!r} contains '..'")
        # Kubernetes takes a slash at the end, and two of them, for nothing.
        made_volume = HostPathVolume(name, os.path.normpath(text) if text.startswith("/") else text, kind)
        if wrong := next(host_path_problems(made_volume), None):
            raise ValueError(wrong)
        return made_volume

    path = field.required(fields, "path")
    found = made(path, volume)
    if path is None or found is None:
        return None
    try:
        allowing_prefix(found.host_path, allowed)
    except HostPathRefused as error:
        path.problem("unsupported-value", str(error))
    return found


def _host_path_kind(text: str) -> HostPathKind:
    if text and text not in _HOST_PATH_KINDS:
        raise ValueError(f"type {text!r} is not honoured: firkin knows {', '.join(_HOST_PATH_KINDS)}")
    return HostPathKind(text)
