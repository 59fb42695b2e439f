"""Reading the containers of a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec

from firkin.domain.container_spec import ResourceLimits
from firkin.domain.ids import ContainerId
from firkin.domain.validation import Volume

from .container_ports import named_ports, read_port_forwards
from .environment import PodFacts, read_environment
from .manifest import ManifestContainer, PodSecurity
from .mounts import read_mounts
from .nodes import Field, made
from .probing import read_hooks, read_probes
from .quantity import byte_count, parsed_quantity, processors
from .security import read_security

_FIELDS = (
    "name", "image", "command", "args", "env", "envFrom", "workingDir", "volumeMounts", "resources",
    "securityContext", "tty", "stdin", "ports",
)  # fmt: skip
_MAIN_FIELDS = ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle")
_INERT = {
    "imagePullPolicy": "images are on this machine, and are pulled from nowhere",
    "terminationMessagePath": "there is no server that would show the message",
    "terminationMessagePolicy": "there is no server that would show the message",
}
_REQUESTS_INERT = "a single machine has nothing to schedule by requests"
_SCHEMES_OF_FILES = ("oci", "docker-archive")


class PodContext(msgspec.Struct, frozen=True):
    """What the containers of a pod are read with; without `image_schemes` any reference may be one."""

    source: str
    image_schemes: Sequence[str]
    facts: PodFacts
    volumes: Mapping[str, Volume]
    security: PodSecurity


def read_container(item: Field, pod: PodContext, *, is_init: bool) -> ManifestContainer | None:
    """Read one entry of `spec.containers` or `spec.initContainers`; None when something essential is wrong."""
    is_sidecar = is_init and _goes_on(item.entries().get("restartPolicy"))
    own = ("restartPolicy",) if is_init else ()
    fields = item.fields((*_FIELDS, *own) if is_init and not is_sidecar else (*_FIELDS, *own, *_MAIN_FIELDS), _INERT)
    name = made(item.required(fields, "name"), ContainerId)
    image = made(item.required(fields, "image"), lambda text: _located_image(text, pod))
    port_forwards = read_port_forwards(fields.get("ports"))
    ports = named_ports(fields.get("ports"))
    resources, layer_bytes = _resources(fields.get("resources"))
    environment = read_environment(fields, pod.facts, resources)
    container = ManifestContainer(
        name=name or ContainerId("unnamed"),
        image=image or "",
        command=_texts(fields.get("command")),
        args=_texts(fields.get("args")),
        environment=tuple(environment.items()),
        working_dir=made(fields.get("workingDir"), _absolute) or None,
        mounts=read_mounts(fields.get("volumeMounts"), pod.volumes, environment),
        resources=resources,
        writable_layer_bytes=layer_bytes,
        security=read_security(fields.get("securityContext"), pod.security),
        probes=read_probes(fields, ports),
        hooks=read_hooks(fields.get("lifecycle"), ports),
        port_forwards=port_forwards,
        terminal=_flag(fields.get("tty")),
        stdin=_flag(fields.get("stdin")),
        is_sidecar=is_sidecar,
    )
    return None if name is None or image is None else container


def _goes_on(field: Field | None) -> bool:
    """Whether an init container is a sidecar."""
    policy = None if field is None or field.is_null else field.text()
    if field is not None and policy not in (None, "Always"):
        field.problem("invalid-value", "an init container has restartPolicy Always, which makes it a sidecar, or none")
    return policy == "Always"


def _texts(field: Field | None) -> tuple[str, ...]:
    read = [] if field is None else [item.text() for item in field.items()]
    return tuple(text for text in read if text is not None)


def _flag(field: Field | None) -> bool:
    return field is not None and field.boolean() is True


def _located_image(image: str, pod: PodContext) -> str:
    """Make a relative path of an image relative to the directory of the manifest."""
    if not image:
        raise ValueError("the image is empty")
    scheme, _, path = image.partition(":")
    if pod.image_schemes and (scheme not in pod.image_schemes or not path):
        known = ", ".join(f"{each}:" for each in pod.image_schemes)
        raise ValueError(
            f"{image!r} does not begin with the scheme of an image source; there are: {known} "
            "(`firkin image import` keeps an image of this machine as image:NAME)"
        )
    directory = os.path.dirname(pod.source)
    if scheme not in _SCHEMES_OF_FILES or not path or not directory:
        return image
    return f"{scheme}:{os.path.join(directory, path)}"


def _absolute(path: str) -> str:
    if path and not path.startswith("/"):
        raise ValueError(f"working directory {path!r} is not absolute")
    return path


def _resources(field: Field | None) -> tuple[ResourceLimits, int | None]:
    """The limits, and that of what the container writes to its root filesystem."""
    stated = {} if field is None else field.fields(("limits", "requests"))
    limits = _amounts(stated.get("limits"))
    _check_requests(stated.get("requests"))
    resources = ResourceLimits(
        memory_bytes=made(limits.get("memory"), byte_count, Field.amount),
        cpus=made(limits.get("cpu"), processors, Field.amount),
    )
    return resources, made(limits.get("ephemeral-storage"), byte_count, Field.amount)


def _amounts(field: Field | None) -> dict[str, Field]:
    return {} if field is None else field.fields(("cpu", "memory", "ephemeral-storage"))


def _check_requests(field: Field | None) -> None:
    names = ("cpu", "memory", "ephemeral-storage")
    entries = {} if field is None else field.entries()
    for name in names:
        if name in entries and not entries[name].is_null:
            made(entries[name], parsed_quantity, Field.amount)
    if field is not None:
        field.fields((), dict.fromkeys(names, _REQUESTS_INERT))
