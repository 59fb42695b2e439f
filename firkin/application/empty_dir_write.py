"""The host's way into an emptyDir: writing files, and learning how full it is."""

from __future__ import annotations

from firkin.domain.errors import FirkinError, StoreFull, VolumeFull, VolumeNotFound
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import VolumeName
from firkin.domain.reports import StoreUsage
from firkin.domain.volumes import EmptyDirVolume

from .open_pod import OpenPod


class PendingEmptyDirFileWrite:
    """A write whose volume and path were checked."""

    def __init__(self, pod: OpenPod, volume: EmptyDirVolume, relative_path: str) -> None:
        self._pod = pod
        self._volume = volume
        self._directory = pod.store.layout.empty_dir(pod.spec.id, volume.name)
        self._relative_path = relative_path
        self._destination = pod.store.layout.empty_dir_file(pod.spec.id, volume.name, relative_path)

    @property
    def destination(self) -> GuestPath:
        """The file, in the sandbox's names."""
        return self._destination

    async def write(self, data: bytes) -> GuestPath:
        """Write the file in one step, with mode 0644 and parents as needed; returns where it is.

        Raises:
            PathRefused: a symlink that a container planted is in the way.
            VolumeFull: the volume's size limit leaves no space.
            StoreFull: no space left.
            PodNotRunning: the pod is stopping, stopped or failed.
        """
        self._pod.require_usable()
        try:
            await self._written(data)
        except FirkinError as error:
            raise error.during("write pod emptyDir file", pod_id=self._pod.spec.id) from error.__cause__
        return self._destination

    async def _written(self, data: bytes) -> None:
        try:
            await self._pod.agent.write_file(self._directory, self._relative_path, data, 0o644)
        except StoreFull as error:
            if self._volume.size_limit is None:
                raise
            full = VolumeFull(self._volume.name, self._volume.size_limit, self._relative_path)
            raise full.during(error.operation, outcome=error.outcome) from error


def begin_empty_dir_file_write(pod: OpenPod, volume: str, relative_path: str) -> PendingEmptyDirFileWrite:
    """Check a write without doing it.

    Raises:
        InvalidId, InvalidRelativePath: the volume's name or the path breaks its rule.
        VolumeNotFound: the pod declares no such emptyDir.
        PodNotRunning: the pod is stopping, stopped or failed.
    """
    pod.require_usable()
    return PendingEmptyDirFileWrite(pod, _declared(pod, volume), relative_path)


async def write_volume_files(pod: OpenPod) -> None:
    """Write the files that volumes hold from the beginning.

    Raises:
        StoreFull: no space left.
    """
    for volume in pod.spec.empty_dirs:
        directory = pod.store.layout.empty_dir(pod.spec.id, volume.name)
        for file in volume.files:
            await pod.agent.write_file(directory, file.path, file.data, file.mode)


async def empty_dir_usage(pod: OpenPod, volume: str) -> StoreUsage:
    """How full an emptyDir is: of one without a size limit on disk, how full the store is.

    Raises:
        InvalidId: the volume's name breaks its rule.
        VolumeNotFound: the pod declares no such emptyDir.
        PodNotRunning: the pod is stopping, stopped or failed.
    """
    pod.require_usable()
    return await pod.agent.usage(pod.store.layout.empty_dir(pod.spec.id, _declared(pod, volume).name))


def _declared(pod: OpenPod, volume: str) -> EmptyDirVolume:
    name = VolumeName(volume)
    for declared in pod.spec.empty_dirs:
        if declared.name == name:
            return declared
    raise VolumeNotFound(pod.spec.id, name)
