"""Serves a pod's control socket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from firkin.domain.errors import FirkinError
from firkin.ports.pod_control import PodControl
from firkin.ports.pod_registry import ClaimedPod
from firkin.wire.supervisor_pb2_grpc import add_SupervisorServicer_to_server

from .service import SupervisorService
from .socket_path import remove_socket, short_path

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    # Who waits for the end of a pod asks now and then whether its supervisor lives.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)
_LAST_ANSWERS_SECONDS = 5.0


class GrpcControlServer:
    """Keeps the port ControlServer with a socket in the pod's directory."""

    @asynccontextmanager
    async def serving(self, control: PodControl, claimed: ClaimedPod) -> AsyncIterator[None]:
        """Answer until it is left; see `firkin.ports.pod_control`."""
        server = grpc.aio.server(options=_OPTIONS)
        add_SupervisorServicer_to_server(SupervisorService(control), server)
        with short_path(claimed.directory) as path:
            # The socket appears with the rights that this mask leaves; so does the directory, which is what counts.
            before = os.umask(0o177)
            try:
                server.add_insecure_port(f"unix:{path}")
            except RuntimeError as error:
                raise FirkinError(f"cannot listen in {claimed.directory}: {error}") from error
            finally:
                os.umask(before)
            await server.start()
            try:
                yield
            finally:
                await server.stop(_LAST_ANSWERS_SECONDS)
                remove_socket(path)
