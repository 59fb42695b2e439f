"""Waiting for a container beside everything else that goes on."""

from __future__ import annotations

from firkin.domain.ids import ContainerId
from firkin.domain.process import ExitStatus, Output

from .running_process import DEFAULT_CAPTURE_BYTES, RunningProcess


class DetachedContainer:
    """A wait for one container that needs the pod no more; the container stays in the pod's table."""

    def __init__(self, container_id: ContainerId, process: RunningProcess) -> None:
        self._id = container_id
        self._process = process

    @property
    def id(self) -> ContainerId:
        """The container's id."""
        return self._id

    async def wait(self) -> ExitStatus:
        """Wait for its end."""
        return await self._process.wait()

    async def wait_with_output(self, limit_bytes: int = DEFAULT_CAPTURE_BYTES) -> Output:
        """Wait for its end and collect what its piped streams still hold.

        Any number of callers may wait; all get the same output.

        Raises:
            OutputLimitExceeded: a stream had more than `limit_bytes`.
            SandboxDied: the sandbox ended first.
        """
        return await self._process.wait_with_output(limit_bytes)
