"""Where pod stores come from."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from firkin.domain.digest import Digest
from firkin.domain.ids import PodId
from firkin.domain.store_spec import PodStoreSpec


class StoreMedium(msgspec.Struct, frozen=True):
    """What a VMM shows to the sandbox as the pod store.

    Attributes:
        path: a directory of the host, or the file of a filesystem image.
        filesystem: the image's filesystem ("ext4"), or "" for a directory.
        identity: the same for two media exactly when they hold the same templates.
        has_project_quotas: whether the image's filesystem keeps them; a kernel without them can only read it.
    """

    path: Path
    filesystem: str
    identity: str
    has_project_quotas: bool = False

    @property
    def is_directory(self) -> bool:
        """True for a directory of the host."""
        return not self.filesystem


@runtime_checkable
class PodStore(Protocol):
    """A kind of pod store."""

    def opened(self, spec: PodStoreSpec, pod_id: PodId) -> AbstractAsyncContextManager[StoreMedium]:
        """Make or find the store and hold it for this pod.

        Leaving removes what the pod left in the store (all of it but templates), and the store itself
        when it was the pod's own, also after the sandbox died.

        Raises:
            StoreInUse, PodExists: somebody else holds the store, or this pod id on it.
            StoreDamaged, StoreTooSmall, StoreFull: it cannot be used.
            MissingTool, PermissionMissing: the machine lacks something.
        """
        ...


@runtime_checkable
class TemplateHolder(Protocol):
    """What a pod store keeps as well, if its templates may be removed while pods run on it."""

    async def hold_template(self, medium: StoreMedium, pod_id: PodId, chain_id: Digest) -> None:
        """Keep a template, there already or yet to be made, from being removed as long as the pod runs.

        Raises:
            StoreInUse, PermissionMissing, StoreFull: that cannot be noted.
        """
        ...
