"""What a request names, and whether the error that answers it says so."""

from __future__ import annotations

from google.protobuf.message import Message

from firkin.wire.agent_pb2 import ErrorDetail

_PATHS = ("path", "destination", "location", "guestPath", "store_path", "overlay_base", "archive_path")
_OTHERS = {
    "container_id": ("container_id", "containerID"),
    "pod_id": ("pod_id",),
    "interface": ("interface",),
    "pid": ("pid",),
    "settings": ("settings",),
}
"""By the names of values: by which fields the requests have them. The interface is told as the path."""


def unmentioned(request: Message, detail: ErrorDetail) -> str:
    """The name of what the request is about and the error does not mention; "" when it mentions all."""
    if any(_given(request, name) for name in _PATHS) and not detail.path:
        return "path"
    for value, fields in _OTHERS.items():
        if any(_given(request, name) for name in fields) and not (detail.values.get(value) or detail.path):
            return value
    return ""


def _given(request: Message, name: str) -> bool:
    field = request.DESCRIPTOR.fields_by_name.get(name)
    # Of a map the keys are names.
    return field is not None and (any(getattr(request, name)) if field.is_repeated else bool(getattr(request, name)))
