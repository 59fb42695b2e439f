"""From a manifest and its images to the spec of a pod."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from firkin.domain.container_spec import PodContainerSpec, ProcessOptions
from firkin.domain.errors import FirkinError, ManifestError, SpecProblem
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.image import ImageBundle
from firkin.domain.pod_spec import PodBuilder, PodSpec
from firkin.domain.process import Stdio, StdioOptions
from firkin.domain.rootfs_source import RootfsSource
from firkin.domain.store_spec import PodStoreSpec
from firkin.domain.vm_config import VmConfig

from .expansion import expanded
from .manifest import ManifestContainer, PodManifest


async def pod_spec(
    manifest: PodManifest,
    resolve: Callable[[str], Awaitable[ImageBundle]],
    *,
    vm_config: VmConfig | None = None,
    pod_store: PodStoreSpec | None = None,
    stdio: StdioOptions | None = None,
) -> PodSpec:
    """Resolve the images of a manifest and make the pod's spec.

    Args:
        manifest: what to run.
        resolve: finds an image by its reference; asked once for each.
        vm_config, pod_store: the pod's sandbox and store.
        stdio: where the containers' streams go. Standard input reaches only those that say `stdin: true`,
            and a container with a terminal has its standard error in its standard output.

    Raises:
        ManifestError: a container says `stdin: true`, and `stdio` has no standard input for it.
        ImageError, InvalidReference: an image cannot be found; the error names the container.
        InvalidPodSpec: what only shows with the images, such as a container without any command.
    """
    streams = stdio or StdioOptions()
    _check_standard_input(manifest, streams)
    builder = PodBuilder(manifest.name, vm_config, pod_store).restart_policy(manifest.restart_policy)
    if manifest.host_name is not None:
        builder = builder.hostname(manifest.host_name)
    for volume in manifest.volumes:
        builder = builder.host_path(volume) if isinstance(volume, HostPathVolume) else builder.empty_dir(volume)
    around = manifest.surroundings
    if around.dns is not None:
        builder = builder.dns(around.dns)
    builder = builder.hosts(*(around.hosts or ())).sysctl(dict(around.sysctls))
    builder = builder.share_process_namespace(manifest.shares_processes)
    bundles: dict[str, ImageBundle] = {}
    problems: list[SpecProblem] = []
    for where, container in _located(manifest):
        if container.image not in bundles:
            try:
                bundles[container.image] = await resolve(container.image)
            except FirkinError as error:
                error.during("resolve image", pod_id=manifest.name, container_id=container.name)
                raise
        bundle = bundles[container.image]
        problems += _root_problems(where, container, bundle)
        spec = _container_spec(container, manifest, bundle, streams)
        is_init = where.startswith("spec.initContainers")
        builder = builder.init_container(spec) if is_init else builder.container(spec)
        for forward in container.port_forwards:
            builder = builder.forward_port(forward.container_port, forward.host_port, forward.host_address)
    if problems:
        raise ManifestError(manifest.source, tuple(problems))
    return builder.build()


def _located(manifest: PodManifest) -> Iterator[tuple[str, ManifestContainer]]:
    """Every container, and where it is."""
    for index, container in enumerate(manifest.init_containers):
        yield f"spec.initContainers[{index}]", container
    for index, container in enumerate(manifest.containers):
        yield f"spec.containers[{index}]", container


def _root_problems(where: str, container: ManifestContainer, bundle: ImageBundle) -> list[SpecProblem]:
    """What `runAsNonRoot` finds wrong: root, or a name of the image, which may be root's."""
    if not container.security.run_as_non_root:
        return []
    user = _user(container, bundle) or bundle.config.user or "0"
    name = user.partition(":")[0]
    if name.isdecimal() and int(name) != 0:
        return []
    message = f"the container would run as {name!r}: give runAsUser a number other than 0"
    return [SpecProblem(f"{where}.securityContext.runAsNonRoot", "runs-as-root", message)]


def _check_standard_input(manifest: PodManifest, stdio: StdioOptions) -> None:
    problems = tuple(
        SpecProblem(f"{where}.stdin", "unsupported-value", "nothing is connected to standard input here")
        for where, container in _located(manifest)
        if container.stdin and stdio.stdin == Stdio.NULL
    )
    if problems:
        raise ManifestError(manifest.source, problems)


def _container_spec(
    container: ManifestContainer, manifest: PodManifest, bundle: ImageBundle, stdio: StdioOptions
) -> PodContainerSpec:
    security = container.security
    return PodContainerSpec(
        id=container.name,
        rootfs=RootfsSource.oci_bundle(bundle),
        process=ProcessOptions(
            args=_arguments(container, bundle),
            environment=container.environment,
            working_dir=container.working_dir,
            user=_user(container, bundle),
            capabilities_add=security.capabilities_add,
            capabilities_drop=security.capabilities_drop,
            terminal=container.terminal,
            no_new_privileges=not security.allow_privilege_escalation,
            additional_gids=manifest.security.additional_groups,
        ),
        stdio=StdioOptions(
            stdin=stdio.stdin if container.stdin else Stdio.NULL,
            stdout=stdio.stdout,
            stderr=Stdio.NULL if container.terminal else stdio.stderr,
        ),
        empty_dir_mounts=container.mounts,
        resources=container.resources,
        root_read_only=security.read_only_root,
        grace_seconds=manifest.grace_seconds,
        probes=container.probes,
        hooks=container.hooks,
        is_sidecar=container.is_sidecar,
        writable_layer_bytes=container.writable_layer_bytes,
    )


def _arguments(container: ManifestContainer, bundle: ImageBundle) -> tuple[str, ...]:
    """`command` replaces entrypoint and command of the image, `args` its command alone; neither means the image's."""
    variables = dict(container.environment)
    args = tuple(expanded(text, variables) for text in container.args)
    if container.command:
        return (*(expanded(text, variables) for text in container.command), *args)
    return (*bundle.config.entrypoint, *args) if args else ()


def _user(container: ManifestContainer, bundle: ImageBundle) -> str | None:
    user, group = container.security.run_as_user, container.security.run_as_group
    if group is None:
        return None if user is None else str(user)
    named = bundle.config.user.partition(":")[0] or "0"
    return f"{named if user is None else user}:{group}"
