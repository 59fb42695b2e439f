"""firkin's values as messages of firkin.agent.v1, and its answers as values: one function per message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from firkin.domain.guest_path import GuestPath
from firkin.domain.image import ImageBundle, Layer
from firkin.domain.layout import OverlayLayout, StoreLayout
from firkin.domain.mounts import Mount
from firkin.domain.process import ExitReason, ExitStatus, ProcessRef
from firkin.domain.reports import AgentInfo
from firkin.domain.surroundings import ContainerFile
from firkin.domain.terminal import TerminalSize
from firkin.domain.volumes import EmptyDirMedium, EmptyDirVolume
from firkin.ports.agent_containers import ContainerLaunch, OverlayRequest, VolumePart
from firkin.ports.agent_pods import PodPreparation
from firkin.ports.agent_processes import ProcessLaunch
from firkin.wire import agent_pb2 as wire

from .bulk_listener import BulkListener

_MICROSECONDS = 1_000_000
_FILE_CHUNK_BYTES = 2**20
_MEDIA = {EmptyDirMedium.DISK: wire.MEDIUM_DISK, EmptyDirMedium.MEMORY: wire.MEDIUM_MEMORY}
_REASONS = {
    wire.EXIT_REASON_EXITED: ExitReason.EXITED,
    wire.EXIT_REASON_SIGNALED: ExitReason.SIGNALED,
    wire.EXIT_REASON_OOM_KILLED: ExitReason.OOM_KILLED,
}


def seconds(microseconds: int) -> float:
    """Durations are microseconds on the wire."""
    return microseconds / _MICROSECONDS


def agent_info(message: wire.GetInfoResponse) -> AgentInfo:
    """Read GetInfoResponse."""
    return AgentInfo(message.version, frozenset(message.features), message.runtime, seconds(message.boot_usec))


def mount_to_proto(mount: Mount) -> wire.Mount:
    """Make Mount."""
    return wire.Mount(type=mount.type, source=mount.source, destination=mount.destination, options=mount.options)


def volume_to_proto(volume: EmptyDirVolume) -> wire.Volume:
    """Make Volume."""
    return wire.Volume(
        name=volume.name,
        medium=_MEDIA[volume.medium],
        size_limit_bytes=volume.size_limit or 0,
        group_id=volume.group_id,
    )


def prepare_pod_to_proto(preparation: PodPreparation) -> wire.PreparePodRequest:
    """Make PreparePodRequest; the mount's destination is the layout's mount point, whatever the sandbox says."""
    return wire.PreparePodRequest(
        pod_id=preparation.pod_id,
        store=mount_to_proto(store_mount(preparation)),
        volumes=[volume_to_proto(volume) for volume in preparation.volumes],
        shares_processes=preparation.shares_processes,
    )


def store_mount(preparation: PodPreparation) -> Mount:
    """The store's mount, on the mount point that the layout names."""
    mount = preparation.store_mount
    return Mount(preparation.layout.mount, mount.type, mount.source, mount.options)


def tear_down_pod_to_proto(preparation: PodPreparation) -> wire.TearDownPodRequest:
    """Make TearDownPodRequest."""
    return wire.TearDownPodRequest(
        pod_id=preparation.pod_id,
        store_path=preparation.layout.mount,
        volumes=[volume.name for volume in preparation.volumes],
    )


def bulk_stream_to_proto(listener: BulkListener) -> wire.BulkStream:
    """Make BulkStream."""
    return wire.BulkStream(port=listener.port, token=listener.token)


def stdio_to_proto(listener_of: Callable[[str], BulkListener | None]) -> wire.Stdio:
    """Make Stdio; a stream without a listener stays absent."""
    streams = {
        name: bulk_stream_to_proto(listener)
        for name in ("stdin", "stdout", "stderr")
        if (listener := listener_of(name)) is not None
    }
    return wire.Stdio(stdin=streams.get("stdin"), stdout=streams.get("stdout"), stderr=streams.get("stderr"))


def overlay_to_proto(request: OverlayRequest) -> wire.Overlay:
    """Make Overlay."""
    return wire.Overlay(
        base=request.layout.base,
        lower=request.lower,
        limit_bytes=request.limit_bytes or 0,
        quota_suffices=request.quota_suffices,
    )


def prepare_overlay_to_proto(request: OverlayRequest) -> wire.PrepareOverlayRequest:
    """Make PrepareOverlayRequest."""
    return wire.PrepareOverlayRequest(container_id=request.container_id, overlay=overlay_to_proto(request))


def start_container_to_proto(launch: ContainerLaunch, stdio: wire.Stdio) -> wire.StartContainerRequest:
    """Make StartContainerRequest."""
    return wire.StartContainerRequest(
        container_id=launch.container_id,
        runtime_spec=launch.runtime_spec,
        stdio=stdio,
        overlay=None if launch.overlay is None else overlay_to_proto(launch.overlay),
        files=[container_file_to_proto(file) for file in launch.files],
        volume_parts=[volume_part_to_proto(part) for part in launch.volume_parts],
    )


def volume_part_to_proto(part: VolumePart) -> wire.VolumePart:
    """Make VolumePart."""
    return wire.VolumePart(volume=part.volume, relative_path=part.relative_path, path=part.path)


def container_file_to_proto(file: ContainerFile) -> wire.ContainerFile:
    """Make ContainerFile."""
    return wire.ContainerFile(path=file.path, data=file.data, mode=file.mode)


def remove_container_to_proto(container_id: str, overlay: OverlayLayout | None) -> wire.RemoveContainerRequest:
    """Make RemoveContainerRequest."""
    return wire.RemoveContainerRequest(
        container_id=container_id, overlay_base=None if overlay is None else overlay.base
    )


def start_process_to_proto(launch: ProcessLaunch, stdio: wire.Stdio) -> wire.StartProcessRequest:
    """Make StartProcessRequest."""
    return wire.StartProcessRequest(
        container_id=launch.ref.container_id,
        process_id=launch.ref.process_id,
        runtime_spec=launch.runtime_spec,
        stdio=stdio,
    )


def wait_process_to_proto(ref: ProcessRef) -> wire.WaitProcessRequest:
    """Make WaitProcessRequest."""
    return wire.WaitProcessRequest(container_id=ref.container_id, process_id=ref.process_id)


def exit_status(message: wire.WaitProcessResponse) -> ExitStatus:
    """Read WaitProcessResponse."""
    signal = message.signal if message.HasField("signal") else None
    fallback = ExitReason.EXITED if signal is None else ExitReason.SIGNALED
    return ExitStatus(message.code, signal, _REASONS.get(message.reason, fallback))


def kill_process_to_proto(ref: ProcessRef, signal: int) -> wire.KillProcessRequest:
    """Make KillProcessRequest."""
    return wire.KillProcessRequest(container_id=ref.container_id, process_id=ref.process_id, signal=signal)


def remove_process_to_proto(ref: ProcessRef) -> wire.RemoveProcessRequest:
    """Make RemoveProcessRequest."""
    return wire.RemoveProcessRequest(container_id=ref.container_id, process_id=ref.process_id)


def resize_process_to_proto(ref: ProcessRef, size: TerminalSize) -> wire.ResizeProcessRequest:
    """Make ResizeProcessRequest."""
    return wire.ResizeProcessRequest(
        container_id=ref.container_id, process_id=ref.process_id, columns=size.columns, rows=size.rows
    )


def layer_to_proto(layer: Layer, listener: BulkListener) -> wire.TemplateLayer:
    """Make TemplateLayer."""
    return wire.TemplateLayer(
        digest=layer.digest,
        diff_id=layer.diff_id,
        media_type=layer.media_type,
        size_bytes=layer.size_bytes,
        stream=bulk_stream_to_proto(listener),
    )


def ensure_template_to_proto(
    bundle: ImageBundle, layout: StoreLayout, listeners: Sequence[BulkListener], limits: Mapping[str, int]
) -> wire.EnsureTemplateRequest:
    """Make EnsureTemplateRequest; `listeners` are those of the layers, in their order."""
    return wire.EnsureTemplateRequest(
        store_path=layout.mount,
        chain_id=bundle.chain_id,
        layers=[layer_to_proto(*pair) for pair in zip(bundle.layers, listeners, strict=True)],
        limits=limits,
    )


def write_file_to_protos(
    directory: GuestPath, relative_path: str, data: bytes, mode: int
) -> Iterator[wire.WriteFileRequest]:
    """Make the stream of WriteFileRequest: the header travels with the first piece."""
    header = wire.WriteFileHeader(directory=directory, relative_path=relative_path, mode=mode)
    yield wire.WriteFileRequest(header=header, data=data[:_FILE_CHUNK_BYTES])
    for start in range(_FILE_CHUNK_BYTES, len(data), _FILE_CHUNK_BYTES):
        yield wire.WriteFileRequest(data=data[start : start + _FILE_CHUNK_BYTES])
