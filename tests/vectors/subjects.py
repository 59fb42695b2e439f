"""What firkin makes of the input of a vector."""

from __future__ import annotations

import msgspec

from firkin.adapters.memory import MemoryImageSource
from firkin.adapters.pod_manifest import load_manifest, pod_spec
from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import ContainerId
from firkin.domain.image import ImageBundle, ImageConfig, Platform
from firkin.domain.image_documents import ProcessConfig
from firkin.domain.lowering import container_runtime_spec, encoded
from firkin.domain.mounts import Mount
from firkin.domain.pod_spec import PodSpec
from firkin.domain.rootfs_source import OciBundleRootfs, RootfsSource

from .formats import ContainerOverrides, ContainerView, EmptyDirView, Json, PodView, VolumeView


def runtime_spec(image_config: Json, overrides: ContainerOverrides, host_name: str, rootfs: str) -> Json:
    """The OCI runtime spec, without its seccomp filter."""
    image = msgspec.convert(image_config, ProcessConfig).image_config()
    lowered = container_runtime_spec(_container(overrides), image, GuestPath(rootfs), host_name)
    document: Json = msgspec.json.decode(encoded(lowered))
    document["linux"].pop("seccomp", None)
    return document


def _container(overrides: ContainerOverrides) -> PodContainerSpec:
    spec = PodContainerSpec(ContainerId("c"), RootfsSource.guest_path("/unused"))
    spec = spec.command(*overrides.command).envs(overrides.environment)
    spec = spec.capabilities(add=overrides.add_capabilities, drop=overrides.drop_capabilities)
    spec = spec.limits(memory=overrides.memory_bytes, cpus=overrides.cpus, pids=overrides.pids)
    if overrides.working_dir is not None:
        spec = spec.working_dir(overrides.working_dir)
    if overrides.user is not None:
        spec = spec.user(overrides.user)
    if overrides.read_only_rootfs:
        spec = spec.read_only_rootfs()
    if overrides.terminal is not None:
        spec = spec.tty(size=overrides.terminal)
    for source, destination in overrides.bind_mounts:
        spec = spec.mount(Mount.bind(source, destination))
    return spec


async def manifest_pod(text: str) -> PodView:
    """The main fields of the pod that a manifest describes.

    Raises:
        ManifestError, InvalidPodSpec: it is refused.
    """
    images = MemoryImageSource()
    images.add("image", ImageConfig(entrypoint=("/entry",), command=("image-command",), user="app"))

    async def resolve(reference: str) -> ImageBundle:
        return await images.resolve(reference, Platform.current())

    return _pod_view(await pod_spec(load_manifest(text, "pod.yaml"), resolve))


def _pod_view(spec: PodSpec) -> PodView:
    return PodView(
        id=spec.id,
        host_name=spec.host_name,
        restart_policy=spec.restart_policy.value,
        shares_processes=spec.shares_processes,
        volumes=tuple(VolumeView(one.name, one.medium.value, _bytes(one.size_limit)) for one in spec.empty_dirs),
        init_containers=tuple(map(_container_view, spec.init_containers)),
        containers=tuple(map(_container_view, spec.containers)),
    )


def _bytes(size: int | None) -> int | None:
    """A plain number, whatever it is written as elsewhere."""
    return None if size is None else int(size)


def _container_view(spec: PodContainerSpec) -> ContainerView:
    assert isinstance(spec.rootfs, OciBundleRootfs)
    return ContainerView(
        id=spec.id,
        image=spec.rootfs.bundle.reference,
        args=spec.process.args,
        environment=spec.process.environment,
        working_dir=spec.process.working_dir,
        user=spec.process.user,
        read_only_rootfs=spec.root_read_only,
        empty_dirs=tuple(EmptyDirView(one.volume, one.container_path, one.read_only) for one in spec.empty_dir_mounts),
        memory_bytes=_bytes(spec.resources.memory_bytes),
        cpus=spec.resources.cpus,
        grace_seconds=spec.grace_seconds,
    )
