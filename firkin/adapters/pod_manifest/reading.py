"""From the text of a manifest to a `PodManifest`, with every problem told at once."""

from __future__ import annotations

import re

from firkin.domain.errors import ManifestError, SpecProblem
from firkin.domain.ids import PodId, VolumeName
from firkin.domain.size import Size
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume

from .containers import read_container
from .manifest import DEFAULT_GRACE_SECONDS, ManifestContainer, PodManifest
from .nodes import Field, Problems, composed, made
from .quantity import byte_count

MANIFEST_MAX_BYTES = 2**20
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


def load_manifest(text: str, source: str) -> PodManifest:
    """Read a Kubernetes Pod manifest.

    `restartPolicy` may be absent: firkin then treats it as `Never`, because nothing restarts a container here.

    Args:
        text: YAML of one document, at most 1 MiB.
        source: the file it comes from: errors name it, and its directory is where relative images lie.

    Raises:
        ManifestError: with every problem: broken YAML, wrong types, and each field that firkin does not honour.
    """
    if len(text) > MANIFEST_MAX_BYTES:
        problem = SpecProblem("manifest", "too-long", f"it is longer than {MANIFEST_MAX_BYTES} bytes")
        raise ManifestError(source, (problem,))
    problems = Problems(source)
    root = composed(text, problems)
    manifest = None if root is None else _pod(root, source)
    if manifest is None or problems:
        raise problems.error()
    return manifest


def _pod(root: Field, source: str) -> PodManifest | None:
    if not root.is_object:
        root.problem("wrong-type", "a manifest is an object with apiVersion, kind, metadata and spec")
        return None
    kinds = {name: field for name, field in root.entries().items() if name in ("apiVersion", "kind")}
    if not _is_pod(root, kinds):
        return None
    fields = root.fields(("apiVersion", "kind", "metadata", "spec"))
    metadata = root.required(fields, "metadata")
    spec = root.required(fields, "spec")
    if metadata is None or spec is None:
        return None
    names = metadata.fields(("name", "labels", "annotations"))
    name = made(metadata.required(names, "name"), PodId)
    known = ("containers", "volumes", "hostname", "terminationGracePeriodSeconds", "restartPolicy")
    stated = spec.fields(known)
    _check_restart_policy(stated.get("restartPolicy"))
    volumes = _volumes(stated.get("volumes"))
    containers = _containers(spec.required(stated, "containers"), volumes, source)
    host_name = _host_name(stated.get("hostname"))
    grace = stated.get("terminationGracePeriodSeconds")
    grace_seconds = None if grace is None else grace.integer()
    labels, annotations = (_texts(names.get(kind)) for kind in ("labels", "annotations"))
    if name is None:
        return None
    return PodManifest(
        source=source,
        name=name,
        containers=tuple(containers),
        volumes=tuple(volumes.values()),
        host_name=host_name,
        grace_seconds=DEFAULT_GRACE_SECONDS if grace_seconds is None else float(grace_seconds),
        labels=labels,
        annotations=annotations,
    )


def _is_pod(root: Field, kinds: dict[str, Field]) -> bool:
    version, kind = kinds.get("apiVersion"), kinds.get("kind")
    if version is None or kind is None:
        for name in ("apiVersion", "kind"):
            if name not in kinds:
                root.problem("missing-field", f"{name} is missing: a manifest begins with apiVersion: v1, kind: Pod")
        return False
    stated = version.text(), kind.text()
    if None not in stated and stated != ("v1", "Pod"):
        at = version if stated[1] == "Pod" else kind
        at.problem("unsupported-value", f"{stated[0]} {stated[1]} cannot be run: firkin runs a v1 Pod")
    return stated == ("v1", "Pod")


def _texts(field: Field | None) -> dict[str, str]:
    entries = {} if field is None else field.entries()
    read = {name: entry.text() for name, entry in entries.items()}
    return {name: text for name, text in read.items() if text is not None}


def _check_restart_policy(field: Field | None) -> None:
    policy = None if field is None else field.text()
    if field is not None and policy is not None and policy != "Never":
        message = f"restartPolicy {policy} is not honoured: write Never, since firkin restarts no container by itself"
        field.problem("unsupported-value", message)


def _host_name(field: Field | None) -> str | None:
    name = None if field is None else field.text()
    if field is not None and name is not None and _HOST_NAME.fullmatch(name) is None:
        message = f"host name {name!r} is not 1 to 63 lower-case letters, digits and inner hyphens"
        field.problem("invalid-value", message)
    return name


def _containers(field: Field | None, volumes: dict[str, EmptyDirVolume], source: str) -> list[ManifestContainer]:
    items = [] if field is None else field.items()
    if field is not None and not items:
        field.problem("invalid-value", "a pod needs at least one container")
    read = [(item, read_container(item, volumes, source)) for item in items]
    seen: set[str] = set()
    for item, container in read:
        if container is not None and container.name in seen:
            item.problem("duplicate-container", f"container {container.name!r} is declared twice")
        if container is not None:
            seen.add(container.name)
    return [container for _, container in read if container is not None]


def _volumes(field: Field | None) -> dict[str, EmptyDirVolume]:
    volumes: dict[str, EmptyDirVolume] = {}
    for item in [] if field is None else field.items():
        volume = _volume(item)
        if volume is not None and volume.name in volumes:
            item.problem("duplicate-volume", f"volume {volume.name!r} is declared twice")
        if volume is not None:
            volumes.setdefault(volume.name, volume)
    return volumes


def _volume(item: Field) -> EmptyDirVolume | None:
    entries = item.entries()
    fields = item.fields(("name", "emptyDir"))
    name = made(item.required(fields, "name"), VolumeName)
    # `emptyDir:` without anything is an emptyDir of the defaults, for Kubernetes too.
    empty_dir = fields.get("emptyDir")
    if entries.keys() == {"name"}:
        item.problem("missing-field", "emptyDir is missing: firkin has volumes of this kind only")
    stated = {} if empty_dir is None else empty_dir.fields(("medium", "sizeLimit"))
    medium = _medium(stated.get("medium"))
    limit = _size_limit(stated.get("sizeLimit"), medium)
    return None if name is None else EmptyDirVolume(name, medium, limit)


def _medium(field: Field | None) -> EmptyDirMedium:
    medium = None if field is None else field.text()
    if field is not None and medium not in (None, "", "Memory"):
        field.problem("unsupported-value", f"medium {medium!r} is not honoured: write Memory, or nothing for the disk")
    return EmptyDirMedium.MEMORY if medium == "Memory" else EmptyDirMedium.DISK


def _size_limit(field: Field | None, medium: EmptyDirMedium) -> Size | None:
    if field is not None and medium == EmptyDirMedium.DISK:
        message = "the limit of an emptyDir on disk cannot be enforced yet: leave it out, or use medium: Memory"
        field.problem("unsupported-value", message)
    return made(field, lambda text: Size(byte_count(text)), Field.amount)
