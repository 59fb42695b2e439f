"""Reading the containers of a manifest."""

from __future__ import annotations

import os
from collections.abc import Container

from firkin.domain.container_spec import ResourceLimits
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId, VolumeName
from firkin.domain.linux_capabilities import normalised_capability
from firkin.domain.validation import RESERVED_DESTINATIONS
from firkin.domain.volumes import EmptyDirMount

from .expansion import expanded_environment
from .manifest import ManifestContainer, SecurityContext
from .nodes import Field, made
from .quantity import byte_count, processors

_FIELDS = (
    "name", "image", "command", "args", "env", "workingDir", "volumeMounts", "resources", "securityContext",
    "tty", "stdin",
)  # fmt: skip
_SECURITY_FIELDS = (
    "runAsUser", "runAsGroup", "readOnlyRootFilesystem", "capabilities", "allowPrivilegeEscalation",
)  # fmt: skip
_SCHEMES_OF_FILES = ("oci", "docker-archive")
_USER_MAX = 2**32 - 2


def read_container(item: Field, volumes: Container[str], source: str) -> ManifestContainer | None:
    """Read one entry of `spec.containers`; None when something essential is wrong."""
    fields = item.fields(_FIELDS)
    name = made(item.required(fields, "name"), ContainerId)
    image = made(item.required(fields, "image"), lambda text: _located_image(text, source))
    container = ManifestContainer(
        name=name or ContainerId("unnamed"),
        image=image or "",
        command=_texts(fields.get("command")),
        args=_texts(fields.get("args")),
        environment=_environment(fields.get("env")),
        working_dir=made(fields.get("workingDir"), _absolute) or None,
        mounts=_mounts(fields.get("volumeMounts"), volumes),
        resources=_resources(fields.get("resources")),
        security=_security(fields.get("securityContext")),
        terminal=_flag(fields.get("tty")),
        stdin=_flag(fields.get("stdin")),
    )
    return None if name is None or image is None else container


def _texts(field: Field | None) -> tuple[str, ...]:
    read = [] if field is None else [item.text() for item in field.items()]
    return tuple(text for text in read if text is not None)


def _flag(field: Field | None) -> bool:
    return field is not None and field.boolean() is True


def _located_image(image: str, source: str) -> str:
    """Make a relative path of an image relative to the directory of the manifest."""
    if not image:
        raise ValueError("the image is empty")
    scheme, _, path = image.partition(":")
    directory = os.path.dirname(source)
    if scheme not in _SCHEMES_OF_FILES or not path or not directory:
        return image
    return f"{scheme}:{os.path.join(directory, path)}"


def _absolute(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError(f"working directory {path!r} is not absolute")
    return path


def _environment(field: Field | None) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for item in [] if field is None else field.items():
        fields = item.fields(("name", "value"))
        name = made(item.required(fields, "name"), _variable_name)
        value = fields["value"].text() if "value" in fields else ""
        if name is not None and value is not None:
            pairs.append((name, value))
    return expanded_environment(pairs)


def _variable_name(name: str) -> str:
    if not name or "=" in name:
        raise ValueError(f"environment variable {name!r} is empty or contains '='")
    return name


def _mounts(field: Field | None, volumes: Container[str]) -> tuple[EmptyDirMount, ...]:
    mounts: list[EmptyDirMount] = []
    for item in [] if field is None else field.items():
        fields = item.fields(("name", "mountPath", "readOnly"))
        name_field = item.required(fields, "name")
        name = made(name_field, VolumeName)
        path = made(item.required(fields, "mountPath"), _mount_path)
        read_only = _flag(fields.get("readOnly"))
        if name_field is not None and name is not None and name not in volumes:
            name_field.problem("unknown-volume", f"there is no volume {name!r} in spec.volumes")
        if path in {mount.container_path for mount in mounts}:
            item.problem("duplicate-mount", f"another volume is mounted at {path}")
        if name is not None and path is not None:
            mounts.append(EmptyDirMount(name, path, read_only))
    return tuple(mounts)


def _mount_path(text: str) -> GuestPath:
    path = GuestPath(text.rstrip("/") or text)
    for reserved in RESERVED_DESTINATIONS:
        if path != "/dev/shm" and (path == reserved or path.startswith(reserved + "/")):
            raise ValueError(f"{path} belongs to the container's standard mounts")
    return path


def _resources(field: Field | None) -> ResourceLimits:
    limits = None if field is None else field.fields(("limits",)).get("limits")
    stated = {} if limits is None else limits.fields(("cpu", "memory"))
    return ResourceLimits(
        memory_bytes=made(stated.get("memory"), byte_count, Field.amount),
        cpus=made(stated.get("cpu"), processors, Field.amount),
    )


def _security(field: Field | None) -> SecurityContext:
    fields = {} if field is None else field.fields(_SECURITY_FIELDS)
    capabilities = fields.get("capabilities")
    changes = {} if capabilities is None else capabilities.fields(("add", "drop"))
    return SecurityContext(
        run_as_user=_account(fields.get("runAsUser")),
        run_as_group=_account(fields.get("runAsGroup")),
        read_only_root=_flag(fields.get("readOnlyRootFilesystem")),
        allow_privilege_escalation=_flag(fields.get("allowPrivilegeEscalation")),
        capabilities_add=_capabilities(changes.get("add")),
        capabilities_drop=_capabilities(changes.get("drop")),
    )


def _account(field: Field | None) -> int | None:
    number = None if field is None else field.integer()
    if field is not None and number is not None and number > _USER_MAX:
        field.problem("invalid-value", f"{number} is more than {_USER_MAX}, the highest id there is")
    return number


def _capabilities(field: Field | None) -> tuple[str, ...]:
    items = [] if field is None else field.items()
    read = [made(item, _capability) for item in items]
    return tuple(name for name in read if name is not None)


def _capability(name: str) -> str:
    return "ALL" if name.upper() == "ALL" else normalised_capability(name)
