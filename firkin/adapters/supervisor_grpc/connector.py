"""Finds the supervisor of a pod."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from grpc.aio import Channel, insecure_channel

from firkin.domain.errors import PodOver, SupervisorDied, SupervisorUnreachable
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import SupervisedPhase
from firkin.ports.pod_control import PodControl
from firkin.ports.pod_registry import PodRegistry

from .client import GrpcPodControl
from .socket_path import has_socket, short_path

_CONNECT_SECONDS = 15.0
_POLL_SECONDS = 0.01
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    # A call is never sent twice behind the caller's back.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    # A supervisor that is stopped, or hangs, is found out also by calls that may last for ever.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 30_000),
    ("grpc.max_reconnect_backoff_ms", 100),
)


class GrpcControlConnector:
    """Keeps the port ControlConnector."""

    def __init__(self, registry: PodRegistry, pods: Path) -> None:
        """`pods` holds a directory for each pod of the registry."""
        self._registry = registry
        self._pods = pods

    @asynccontextmanager
    async def connected(self, pod_id: PodId) -> AsyncIterator[PodControl]:
        """Speak with a pod's supervisor; see `firkin.ports.pod_control`."""
        self._require_supervisor(pod_id)
        try:
            with short_path(self._pods / pod_id) as path:
                async with insecure_channel(f"unix:{path}", options=_OPTIONS) as channel:
                    await self._connect(pod_id, path, channel)
                    yield GrpcPodControl(pod_id, channel)
        except (SupervisorUnreachable, FileNotFoundError):
            # What ended meanwhile is told as what it is.
            self._require_supervisor(pod_id)
            raise

    def _require_supervisor(self, pod_id: PodId) -> None:
        record = self._registry.record(pod_id)
        if record.phase is SupervisedPhase.ABANDONED:
            raise SupervisorDied(pod_id)
        if record.phase.is_over:
            raise PodOver(pod_id, record.phase)

    async def _connect(self, pod_id: PodId, path: str, channel: Channel) -> None:
        """Wait until the supervisor answers; one that has only begun needs a moment."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                while not has_socket(path):
                    if not self._registry.is_held(pod_id):
                        raise SupervisorUnreachable(pod_id, "it has ended")
                    await asyncio.sleep(_POLL_SECONDS)
                await channel.channel_ready()
        except TimeoutError:
            raise SupervisorUnreachable(pod_id, f"no answer within {_CONNECT_SECONDS:g} s") from None
