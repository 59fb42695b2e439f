"""How connections to a port are made."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class PortDialler(Protocol):
    """Makes connections from within a network."""

    def connected(self, host: str, port: int, tls: ssl.SSLContext | None) -> AbstractAsyncContextManager[Streams]:
        """Connect, with TLS if a context is given; leaving ends the connection without a farewell.

        Raises:
            OSError: nobody listens there, with the errno of connect(2), or the name leads to no address.
        """
        ...

    def grpc_target(self, host: str, port: int) -> AbstractAsyncContextManager[str]:
        """Where gRPC finds the port, as the target of a channel; valid in the block.

        Raises:
            OSError: as `connected`, if this dials already.
        """
        ...
