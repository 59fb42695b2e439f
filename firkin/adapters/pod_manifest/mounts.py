"""Reading `volumeMounts` of a container."""

from __future__ import annotations

import re
from collections.abc import Mapping

from firkin.domain.guest_path import GuestPath, checked_relative_path
from firkin.domain.ids import VolumeName
from firkin.domain.validation import RESERVED_DESTINATIONS, Volume
from firkin.domain.volumes import EmptyDirMount, EmptyDirVolume

from .expansion import expanded
from .nodes import Field, made

_FIELDS = ("name", "mountPath", "readOnly", "subPath", "subPathExpr", "mountPropagation", "recursiveReadOnly")
_REFERENCE = re.compile(r"\$\([^)]*\)")


def read_mounts(
    field: Field | None, volumes: Mapping[str, Volume], variables: Mapping[str, str]
) -> tuple[EmptyDirMount, ...]:
    """Read them; `subPathExpr` may refer to the container's variables."""
    mounts: list[EmptyDirMount] = []
    for item in [] if field is None else field.items():
        fields = item.fields(_FIELDS)
        name_field = item.required(fields, "name")
        name = made(name_field, VolumeName)
        path = made(item.required(fields, "mountPath"), _mount_path)
        read_only = "readOnly" in fields and fields["readOnly"].boolean() is True
        _check_recursion(fields, read_only=read_only)
        if name_field is not None and name is not None and name not in volumes:
            name_field.problem("unknown-volume", f"there is no volume {name!r} in spec.volumes")
        if path in {mount.container_path for mount in mounts}:
            item.problem("duplicate-mount", f"another volume is mounted at {path}")
        if name is not None and path is not None and name in volumes:
            sub_path = _sub_path(fields, volumes[name], variables)
            mounts.append(EmptyDirMount(name, path, read_only, sub_path))
    return tuple(mounts)


def _check_recursion(fields: Mapping[str, Field], *, read_only: bool) -> None:
    propagation = fields.get("mountPropagation")
    if propagation is not None and propagation.text() not in ("None", None):
        propagation.problem("unsupported-value", "only None is honoured: mounts stay where they were made")
    recursive = fields.get("recursiveReadOnly")
    wish = None if recursive is None else recursive.text()
    if recursive is None or wish is None:
        return
    if wish not in ("Disabled", "IfPossible", "Enabled"):
        recursive.problem("invalid-value", f"{wish!r} is none of Disabled, IfPossible, Enabled")
    elif wish == "Disabled":
        recursive.problem("unsupported-value", "what is read-only is so with everything below it")
    elif not read_only:
        recursive.problem("invalid-value", f"{wish} needs readOnly: true")


def _sub_path(fields: Mapping[str, Field], volume: Volume, variables: Mapping[str, str]) -> str:
    field = fields.get("subPath") or fields.get("subPathExpr")
    text = None if field is None else field.text()
    if field is None or not text:
        return ""
    if "subPath" in fields and "subPathExpr" in fields:
        field.problem("invalid-value", "give subPath or subPathExpr, not both")
    if "subPath" not in fields:
        text = expanded(text, variables)
        if unknown := _REFERENCE.search(text):
            field.problem("unknown-variable", f"the container has no variable for {unknown[0]}")
            return ""
    return made(field, lambda _: _checked_sub_path(text.rstrip("/"), volume)) or ""


def _checked_sub_path(path: str, volume: Volume) -> str:
    checked_relative_path(path)
    if isinstance(volume, EmptyDirVolume) and volume.files and not volume.holds(path):
        raise ValueError(f"volume {volume.name!r} has no file {path!r}")
    return path


def _mount_path(text: str) -> GuestPath:
    path = GuestPath(text.rstrip("/") or text)
    for reserved in RESERVED_DESTINATIONS:
        if path != "/dev/shm" and (path == reserved or path.startswith(reserved + "/")):
            raise ValueError(f"{path} belongs to the container's standard mounts")
    return path
