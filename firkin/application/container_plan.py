"""Deciding what a container will be, before anything is done about it."""

from __future__ import annotations

import signal as signals

import msgspec

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import UnsupportedFeature
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import PodId, VolumeName
from firkin.domain.image import ImageBundle, ImageConfig
from firkin.domain.layout import StoreLayout
from firkin.domain.lowering import container_runtime_spec, stop_signal
from firkin.domain.mounts import Mount
from firkin.domain.oci_runtime import RuntimeSpec
from firkin.domain.pod_spec import PodSpec
from firkin.domain.rootfs_source import AnyRootfs, GuestPathRootfs, OciBundleRootfs
from firkin.domain.surroundings import ContainerFile, file_mounts, name_files
from firkin.domain.volumes import EmptyDirMount
from firkin.ports.agent_containers import OverlayRequest


class ContainerPlan(msgspec.Struct, frozen=True):
    """What runs where.

    Attributes:
        runtime_spec: the lowered OCI runtime specification.
        overlay: the overlay to make; None for a rootfs that is used as it is.
        files: what is written before each start, and shown in the container.
        stop_signal: the number of the signal that asks the container to end.
    """

    runtime_spec: RuntimeSpec
    overlay: OverlayRequest | None
    stop_signal: int = signals.SIGTERM
    files: tuple[ContainerFile, ...] = ()


def bundle_of(rootfs: AnyRootfs) -> ImageBundle | None:
    """The image that a rootfs is made from, if any."""
    return rootfs.bundle if isinstance(rootfs, OciBundleRootfs) else None


def planned_container(spec: PodContainerSpec, pod: PodSpec, layout: StoreLayout, host_name: str) -> ContainerPlan:
    """Lower a container of a pod whose host name is `host_name`.

    Raises:
        UnsupportedFeature: nothing can make this kind of rootfs.
    """
    read_only = frozenset(volume.name for volume in pod.empty_dirs if volume.is_read_only)
    volumes = tuple(_volume_mount(layout, pod.id, mounted, read_only) for mounted in spec.empty_dir_mounts)
    name = spec.host_name or host_name
    surroundings = spec.surroundings.within(pod.surroundings)
    overlay = layout.overlay(pod.id, spec.id)
    files = name_files(surroundings, overlay.files, name, host_name)

    def runtime_spec(image: ImageConfig | None, rootfs: GuestPath) -> RuntimeSpec:
        mounts = file_mounts(files, read_only=spec.root_read_only)
        return container_runtime_spec(
            spec, image, rootfs, name, volumes, mounts, surroundings.ipc_sysctls, pod.shares_processes
        )

    match spec.rootfs:
        case GuestPathRootfs(path):
            return ContainerPlan(runtime_spec(None, path), None, files=files)
        case OciBundleRootfs(bundle):
            lower = layout.template_rootfs(bundle.chain_id)
            return ContainerPlan(
                runtime_spec(bundle.config, overlay.merged),
                OverlayRequest(spec.id, overlay, lower),
                stop_signal(bundle.config),
                files,
            )
        case other:
            raise UnsupportedFeature(type(other).__name__, "use an OCI bundle or a guest path")


def _volume_mount(
    layout: StoreLayout, pod_id: PodId, mounted: EmptyDirMount, read_only: frozenset[VolumeName]
) -> Mount:
    source = layout.empty_dir(pod_id, mounted.volume)
    if mounted.sub_path:
        # A part of a volume of files, in which nothing can be mounted: crun takes no file for a recursive bind.
        source = layout.empty_dir_file(pod_id, mounted.volume, mounted.sub_path)
        return Mount(mounted.container_path, "bind", source, ("bind", "ro"))
    mount = Mount.bind(source, mounted.container_path)
    return mount.read_only() if mounted.read_only or mounted.volume in read_only else mount
