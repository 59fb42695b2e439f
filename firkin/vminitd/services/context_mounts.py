"""What Mount of SandboxContext mounts by firkin's own types, for a host that speaks no other service."""

from __future__ import annotations

from collections.abc import Mapping

from firkin.domain import context_additions
from firkin.domain.errors import InvalidArgument, PathRefused
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId, VolumeName
from firkin.domain.layout import POD_PROCESS_NAMESPACE, StoreLayout
from firkin.domain.size import Size
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume
from firkin.wire import sandbox_context_pb2 as wire

from ..agent import GuestAgent
from ..filesystem import store
from ..filesystem.volume_parts import mount_volume_part
from .agent_messages import volume_part

_PLACE_COMPONENTS = 4  # pods/<pod>/emptydir/<volume>


async def mounted_by_firkin(agent: GuestAgent, request: wire.MountRequest) -> bool:
    """Do what a type of firkin's own asks for; False for any other type.

    Raises:
        InvalidArgument, PathRefused: an option or the place is none of the type.
        FirkinError: it cannot be mounted; see what the type stands for.
    """
    match request.type:
        case context_additions.VOLUME_PART:
            part = volume_part(request.source, _options(request, "path").get("path", ""), request.destination)
            await agent.workers.run(mount_volume_part, part)
        case context_additions.EMPTY_DIR:
            await _make_empty_dir(agent, request)
        case context_additions.PROCESS_NAMESPACE:
            _options(request)
            if request.destination != POD_PROCESS_NAMESPACE:
                raise PathRefused(request.destination, f"a process namespace is shown at {POD_PROCESS_NAMESPACE}")
            await agent.process_namespace.make()
        case _:
            return False
    return True


async def _make_empty_dir(agent: GuestAgent, request: wire.MountRequest) -> None:
    layout = StoreLayout(GuestPath(request.source))
    components = request.destination.removeprefix(f"{layout.mount}/").split("/")
    if len(components) != _PLACE_COMPONENTS:
        raise PathRefused(request.destination, "it is no emptyDir of the store")
    pod_id, name = PodId(components[1]), VolumeName(components[-1])
    if request.destination != layout.empty_dir(pod_id, name):
        raise PathRefused(request.destination, "it is no emptyDir of the store")
    options = _options(request, "medium", "size", "group")
    size, group = _number(options, "size"), _number(options, "group")
    limit = None if size is None else Size(size)
    medium = _medium(options.get("medium", ""))
    volume = EmptyDirVolume(name, medium, limit, group_id=group)
    await agent.workers.run(store.make_volume, layout, pod_id, volume, agent.programs.for_threads())


def _medium(word: str) -> EmptyDirMedium:
    for medium in EmptyDirMedium:
        if medium.value == word:
            return medium
    raise InvalidArgument(f"{word!r} is no medium of an emptyDir")


def _options(request: wire.MountRequest, *known: str) -> Mapping[str, str]:
    """The options by their keys."""
    options = dict(option.partition("=")[::2] for option in request.options)
    if unknown := options.keys() - set(known):
        raise InvalidArgument(f"a mount of type {request.type} has no option {min(unknown)!r}")
    return options


def _number(options: Mapping[str, str], key: str) -> int | None:
    text = options.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        raise InvalidArgument(f"{key} {text[:40]!r} is no number")
    return int(text)
