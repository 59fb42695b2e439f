"""Writing a file into an emptyDir from the host."""

from __future__ import annotations

from firkin.domain.errors import FirkinError, VolumeNotFound
from firkin.domain.guest_path import GuestPath
from firkin.domain.ids import VolumeName

from .open_pod import OpenPod


class PendingEmptyDirFileWrite:
    """A write whose volume and path were checked."""

    def __init__(self, pod: OpenPod, volume: VolumeName, relative_path: str) -> None:
        self._pod = pod
        self._directory = pod.store.layout.empty_dir(pod.spec.id, volume)
        self._relative_path = relative_path
        self._destination = pod.store.layout.empty_dir_file(pod.spec.id, volume, relative_path)

    @property
    def destination(self) -> GuestPath:
        """The file, in the sandbox's names."""
        return self._destination

    async def write(self, data: bytes) -> GuestPath:
        """Write the file in one step, with mode 0644 and parents as needed; returns where it is.

        Raises:
            PathRefused: a symlink that a container planted is in the way.
            StoreFull: no space left.
            PodNotRunning: the pod is stopping, stopped or failed.
        """
        self._pod.require_usable()
        try:
            await self._pod.agent.write_file(self._directory, self._relative_path, data, 0o644)
        except FirkinError as error:
            raise error.during("write pod emptyDir file", pod_id=self._pod.spec.id) from error.__cause__
        return self._destination


def begin_empty_dir_file_write(pod: OpenPod, volume: str, relative_path: str) -> PendingEmptyDirFileWrite:
    """Check a write without doing it.

    Raises:
        InvalidId, InvalidRelativePath: the volume's name or the path breaks its rule.
        VolumeNotFound: the pod declares no such emptyDir.
        PodNotRunning: the pod is stopping, stopped or failed.
    """
    pod.require_usable()
    name = VolumeName(volume)
    if not any(declared.name == name for declared in pod.spec.empty_dirs):
        raise VolumeNotFound(pod.spec.id, name)
    return PendingEmptyDirFileWrite(pod, name, relative_path)
