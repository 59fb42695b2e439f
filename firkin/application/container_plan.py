"""Deciding what a container will be, before anything is done about it."""

from __future__ import annotations

import signal as signals

import msgspec

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.layout import HOST_PATHS, OverlayLayout, StoreLayout
from firkin.domain.lowering import container_runtime_spec, quota_suffices, stop_signal
from firkin.domain.mounts import Mount
from firkin.domain.oci_runtime import RuntimeSpec
from firkin.domain.pod_spec import PodSpec
from firkin.domain.rootfs_source import AnyRootfs, GuestPathRootfs, OciBundleRootfs
from firkin.domain.surroundings import ContainerFile, file_mounts, name_files
from firkin.ports.agent_containers import OverlayRequest, VolumePart


class ContainerPlan(msgspec.Struct, frozen=True):
    """What runs where.

    Attributes:
        runtime_spec: the lowered OCI runtime specification.
        overlay: the overlay to make; None for a rootfs that is used as it is.
        files: what is written before each start, and shown in the container.
        volume_parts: what is mounted before each start, and shown in the container.
        stop_signal: the number of the signal that asks the container to end.
    """

    runtime_spec: RuntimeSpec
    overlay: OverlayRequest | None
    stop_signal: int = signals.SIGTERM
    files: tuple[ContainerFile, ...] = ()
    volume_parts: tuple[VolumePart, ...] = ()


def bundle_of(rootfs: AnyRootfs) -> ImageBundle | None:
    """The image that a rootfs is made from, if any."""
    return rootfs.bundle if isinstance(rootfs, OciBundleRootfs) else None


def planned_container(spec: PodContainerSpec, pod: PodSpec, layout: StoreLayout, host_name: str) -> ContainerPlan:
    """Lower a container of a pod whose host name is `host_name`.

    Raises:
        UnsupportedFeature: nothing can make this kind of rootfs.
    """
    overlay = layout.overlay(pod.id, spec.id)
    volumes, parts = _volume_mounts(spec, pod, layout, overlay)
    name = spec.host_name or host_name
    surroundings = spec.surroundings.within(pod.networked_surroundings)
    files = name_files(surroundings, overlay.files, name, host_name)

    def runtime_spec(image: ImageConfig | None, rootfs: GuestPath) -> RuntimeSpec:
        mounts = file_mounts(files, read_only=spec.root_read_only)
        return container_runtime_spec(
            spec, image, rootfs, name, volumes, mounts, surroundings.ipc_sysctls, pod.shares_processes
        )

    match spec.rootfs:
        case GuestPathRootfs(path):
            return ContainerPlan(runtime_spec(None, path), None, files=files, volume_parts=parts)
        case OciBundleRootfs(bundle):
            lower = layout.template_rootfs(bundle.chain_id)
            return ContainerPlan(
                runtime_spec(bundle.config, overlay.merged),
                OverlayRequest(spec.id, overlay, lower, spec.writable_layer_bytes, quota_suffices(spec)),
                stop_signal(bundle.config),
                files,
                parts,
            )
        case other:
            raise UnsupportedFeature(type(other).__name__, "use an OCI bundle or a guest path")


def _volume_mounts(
    spec: PodContainerSpec, pod: PodSpec, layout: StoreLayout, overlay: OverlayLayout
) -> tuple[tuple[Mount, ...], tuple[VolumePart, ...]]:
    """The mounts of its volumes, and the parts of volumes that some of them show."""
    declared = {volume.name: volume for volume in pod.volumes}
    mounts: list[Mount] = []
    parts: list[VolumePart] = []
    for mounted in spec.empty_dir_mounts:
        volume = declared[mounted.volume]
        if isinstance(volume, HostPathVolume):
            source, read_only = HOST_PATHS.below(volume.name), mounted.read_only
        else:
            source, read_only = layout.empty_dir(pod.id, volume.name), mounted.read_only or volume.is_read_only
        if mounted.sub_path:
            part = VolumePart(source, mounted.sub_path, overlay.volume_parts.below(str(len(parts))))
            parts.append(part)
            # Nothing can be mounted in a part, which may be a file; crun takes no file for a recursive bind.
            mount = Mount(mounted.container_path, "bind", part.path, ("bind", "rw"))
        else:
            mount = Mount.bind(source, mounted.container_path)
        mounts.append(mount.read_only() if read_only else mount)
    return tuple(mounts), tuple(parts)
