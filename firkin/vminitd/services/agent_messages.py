"""Messages of firkin.agent.v1 as the agent's own values, and back."""

from __future__ import annotations

from firkin.domain.errors import InvalidArgument, PathRefused
from firkin.domain.guest_path import GuestPath, checked_relative_path
from firkin.domain.ids import ContainerId, ProcessId, VolumeName
from firkin.domain.layout import OverlayLayout
from firkin.domain.mounts import Mount
from firkin.domain.process import ExitReason, ProcessRef
from firkin.domain.size import Size
from firkin.domain.surroundings import ContainerFile
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume
from firkin.wire import agent_pb2 as wire

from ..containers import ContainerRequest, OverlayRequest
from ..filesystem.limited_layers import LayerLimit
from ..filesystem.limited_volumes import RunProgram
from ..filesystem.volume_parts import VolumePart
from ..process_stdio import StdioRequest, StreamRequest
from ..processes import ProcessEnd

_MEDIA = {wire.MEDIUM_DISK: EmptyDirMedium.DISK, wire.MEDIUM_MEMORY: EmptyDirMedium.MEMORY}
_REASONS = {
    ExitReason.EXITED: wire.EXIT_REASON_EXITED,
    ExitReason.SIGNALED: wire.EXIT_REASON_SIGNALED,
    ExitReason.OOM_KILLED: wire.EXIT_REASON_OOM_KILLED,
    ExitReason.SANDBOX_DIED: wire.EXIT_REASON_UNSPECIFIED,
}


def mount_from(message: wire.Mount) -> Mount:
    """A mount of the store."""
    return Mount(message.destination, message.type, message.source, tuple(message.options))


def volume_from(message: wire.Volume) -> EmptyDirVolume:
    """An emptyDir.

    Raises:
        InvalidArgument: its medium is none that this agent knows.
    """
    medium = _MEDIA.get(message.medium)
    if medium is None:
        raise InvalidArgument(f"volume {message.name!r} has an unknown medium")
    limit = Size(message.size_limit_bytes) if message.size_limit_bytes else None
    group = message.group_id if message.HasField("group_id") else None
    return EmptyDirVolume(VolumeName(message.name), medium, limit, group_id=group)


def overlay_from(message: wire.Overlay, run: RunProgram) -> OverlayRequest:
    """A container's overlay; `run` is how programs are run that its limit may need."""
    limit = LayerLimit(message.limit_bytes, message.quota_suffices, run) if message.limit_bytes else None
    return OverlayRequest(overlay_base_from(message.base), GuestPath(message.lower), limit)


def overlay_base_from(path: str) -> GuestPath:
    """The directory of a container's overlay, which is made and removed with everything in it.

    Raises:
        PathRefused: it is not a pod's `containers/<id>`, so that something else might be removed.
    """
    base = GuestPath(path)
    if base.split("/")[-2] != "containers":
        raise PathRefused(path, "it is not the directory of a container")
    return base


def stream_from(message: wire.BulkStream) -> StreamRequest:
    """A stream that the host listens for."""
    return StreamRequest(message.port, message.token)


def stdio_from(message: wire.Stdio) -> StdioRequest:
    """The streams that the host wants."""
    return StdioRequest(
        stream_from(message.stdin) if message.HasField("stdin") else None,
        stream_from(message.stdout) if message.HasField("stdout") else None,
        stream_from(message.stderr) if message.HasField("stderr") else None,
    )


def container_from(message: wire.StartContainerRequest, run: RunProgram) -> ContainerRequest:
    """A container to be created and started; `run` is how programs are run that its limits may need."""
    return ContainerRequest(
        ContainerId(message.container_id),
        message.runtime_spec,
        stdio_from(message.stdio),
        overlay_from(message.overlay, run) if message.HasField("overlay") else None,
        message.oci_runtime_path,
        tuple(container_file_from(file) for file in message.files),
        tuple(volume_part_from(part) for part in message.volume_parts),
    )


def volume_part_from(message: wire.VolumePart) -> VolumePart:
    """A part of a volume, to be mounted beside a container's overlay."""
    return volume_part(message.volume, message.relative_path, message.path)


def volume_part(volume: str, relative_path: str, mounted_at: str) -> VolumePart:
    """A part that is to be mounted at `mounted_at`.

    Raises:
        PathRefused: it would be mounted elsewhere than beside a container's overlay.
    """
    path = GuestPath(mounted_at)
    directory = path.rpartition("/")[0]
    if directory != OverlayLayout(overlay_base_from(directory.rpartition("/")[0])).volume_parts:
        raise PathRefused(path, "it is not among the volumes of a container")
    return VolumePart(GuestPath(volume), checked_relative_path(relative_path), path)


def container_file_from(message: wire.ContainerFile) -> ContainerFile:
    """A file beside a container's overlay.

    Raises:
        PathRefused: it lies elsewhere.
    """
    path = GuestPath(message.path)
    directory = path.rpartition("/")[0]
    base = overlay_base_from(directory.rpartition("/")[0])
    if directory != base.below("etc"):
        raise PathRefused(path, "it is not among the files of a container")
    return ContainerFile(path, "", message.data, message.mode & 0o7777)


def process_ref(container_id: str, process_id: str) -> ProcessRef:
    """The address of a process; both ids are checked."""
    return ProcessRef(ContainerId(container_id), ProcessId(process_id))


def exit_message(end: ProcessEnd) -> wire.WaitProcessResponse:
    """How a process ended."""
    return wire.WaitProcessResponse(
        code=end.status.code,
        signal=end.status.signal,
        reason=_REASONS[end.status.reason],
        stdout_bytes=end.stdout_bytes,
        stderr_bytes=end.stderr_bytes,
    )
