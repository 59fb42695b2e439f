"""Where everything lies inside the sandbox."""

from __future__ import annotations

import msgspec

from .digest import Digest
from .guest_path import GuestPath
from .ids import ContainerId, PodId, VolumeName

POD_STORE_MOUNT = GuestPath("/run/firkin/pod-store")
HOST_PATHS = GuestPath("/run/firkin/host-paths")
"""Below it, by the names of their volumes: paths of the host that the sandbox was given."""
POD_PROCESS_NAMESPACE = GuestPath("/run/firkin/pod-process-namespace")
CONTAINER_BUNDLES = GuestPath("/run/container")
CONTAINER_INIT_PROGRAM = GuestPath("/usr/bin/catatonit")
"""What is the first process of containers that want an init."""
KERNEL_MODULES = GuestPath("/lib/modules")
"""Modules of a machine's kernel that are loaded when they are wanted, each as NAME.ko."""
CONTAINER_INIT = GuestPath("/dev/init")
"""Where they see it."""


class OverlayLayout(msgspec.Struct, frozen=True):
    """The directories of one container's overlay on a template.

    Attributes:
        is_limited: whether upper and work are in a directory that holds so many bytes and no more.
    """

    base: GuestPath
    is_limited: bool = False

    @property
    def limited(self) -> GuestPath:
        """Where upper and work are when what the container writes has a limit."""
        return self.base.below("limited")

    @property
    def limited_image(self) -> GuestPath:
        """The filesystem image behind `limited`, where it is one."""
        return self.base.below("limited.image")

    @property
    def upper(self) -> GuestPath:
        """What the container wrote."""
        return (self.limited if self.is_limited else self.base).below("upper")

    @property
    def work(self) -> GuestPath:
        """Scratch of the overlay filesystem."""
        return (self.limited if self.is_limited else self.base).below("work")

    @property
    def files(self) -> GuestPath:
        """Files that are made for the container and shown in it; none of them is in its root filesystem."""
        return self.base.below("etc")

    @property
    def volume_parts(self) -> GuestPath:
        """Where parts of volumes are mounted for the container to be shown."""
        return self.base.below("volumes")

    @property
    def merged(self) -> GuestPath:
        """The container's rootfs: upper over the template."""
        return self.base.below("merged")


class StoreLayout(msgspec.Struct, frozen=True):
    """The directories of a pod store that is mounted at `mount`."""

    mount: GuestPath = POD_STORE_MOUNT

    @property
    def templates(self) -> GuestPath:
        """The templates, shared by every pod and image of the store."""
        return self.mount.below("templates")

    @property
    def pods(self) -> GuestPath:
        """The pods' own directories."""
        return self.mount.below("pods")

    def template(self, chain_id: Digest) -> GuestPath:
        """The directory of one template."""
        return self.templates.below(f"sha256-{chain_id.hex}")

    def template_rootfs(self, chain_id: Digest) -> GuestPath:
        """The read-only rootfs of one template."""
        return self.template(chain_id).below("rootfs")

    def template_mark(self, chain_id: Digest) -> GuestPath:
        """The empty file that is written last: a template without it is not whole, however it was made."""
        return self.template(chain_id).below(".complete")

    def template_layer(self, chain_id: Digest) -> GuestPath:
        """The uppermost layer of one template alone, as overlayfs reads it, over the templates of the layers below."""
        return self.template(chain_id).below("diff")

    def template_stack(self, chain_id: Digest) -> GuestPath:
        """The mark of a layer alone, written last: names the template below it, or nothing if it hides that wholly."""
        return self.template(chain_id).below(".stack")

    def template_replacements(self, chain_id: Digest) -> GuestPath:
        """What is not in a template as it is in its layers: JSON, counts by kind; no such file where nothing is."""
        return self.template(chain_id).below(".replaced")

    def pod(self, pod_id: PodId) -> GuestPath:
        """Everything of one pod that is not shared."""
        return self.pods.below(pod_id)

    def empty_dir(self, pod_id: PodId, volume: VolumeName) -> GuestPath:
        """One emptyDir."""
        return self.pod(pod_id).below("emptydir").below(volume)

    def empty_dir_image(self, pod_id: PodId, volume: VolumeName) -> GuestPath:
        """The filesystem image behind an emptyDir on disk that has a size limit."""
        return self.pod(pod_id).below("emptydir-images").below(volume)

    def empty_dir_file(self, pod_id: PodId, volume: VolumeName, relative_path: str) -> GuestPath:
        """A file of an emptyDir, by text alone; the agent resolves it without following links.

        Raises:
            InvalidRelativePath: the path is absolute, not normalised, empty or has NUL.
        """
        return self.empty_dir(pod_id, volume).below(relative_path)

    def overlay(self, pod_id: PodId, container_id: ContainerId) -> OverlayLayout:
        """The overlay of one container."""
        return OverlayLayout(self.pod(pod_id).below("containers").below(container_id))


def container_bundle(container_id: ContainerId) -> GuestPath:
    """The OCI bundle directory of a container (runtime-spec, bundle.md)."""
    return CONTAINER_BUNDLES.below(container_id)
