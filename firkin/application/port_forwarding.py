"""Ports of the host that lead to a pod's."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from firkin.domain.errors import FirkinError, PodNotRunning
from firkin.domain.ids import PodId
from firkin.domain.lifecycle import PodPhase
from firkin.domain.port_forwards import PortForward
from firkin.ports.agent import Agent

from .task_scope import TaskScope, finished, joined


class ForwardedPort:
    """A port of the host that leads to one of the pod's, until it is closed or the pod ends."""

    def __init__(self, forward: PortForward, undo: contextlib.AsyncExitStack, scope: TaskScope) -> None:
        self._forward = forward
        self._undo = undo
        self._scope = scope
        self._closing: asyncio.Task[None] | None = None

    @property
    def host_address(self) -> str:
        """The address that the host listens on."""
        return self._forward.host_address

    @property
    def host_port(self) -> int:
        """The port that the host listens on; a real one, also when any was asked for."""
        return self._forward.host_port

    @property
    def container_port(self) -> int:
        """The port of the pod that it leads to."""
        return self._forward.container_port

    async def aclose(self) -> None:
        """Listen no more, and end every connection; twice is fine."""
        if self._closing is None:
            self._closing = self._scope.start(self._undo.aclose(), f"close {self._forward}")
        await joined(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ForwardedPort {self._forward}>"


class PortForwards:
    """The forwarded ports of one pod."""

    def __init__(self, pod_id: PodId, agent: Agent) -> None:
        self._pod_id = pod_id
        self._agent = agent
        self._is_closed = False
        self._scope = TaskScope()
        self._open: list[ForwardedPort] = []

    @property
    def open(self) -> tuple[ForwardedPort, ...]:
        """Those that are forwarded now, in the order in which they were opened."""
        return tuple(self._open)

    async def opened(self, forward: PortForward) -> ForwardedPort:
        """Forward a port.

        Raises:
            HostPortUnavailable: the host does not let it be listened on.
            PodNotRunning: the pod stopped meanwhile.
            UnsupportedFeature: the guest agent cannot forward.
        """
        undo = contextlib.AsyncExitStack()
        made = await undo.enter_async_context(self._agent.forwarded(forward))
        port = ForwardedPort(made, undo, self._scope)
        if self._is_closed:
            await port.aclose()
            raise PodNotRunning(self._pod_id, PodPhase.STOPPING)
        self._open.append(port)
        undo.callback(self._open.remove, port)
        return port

    async def aclose(self) -> None:
        """Close all of them."""
        self._is_closed = True
        for port in self.open:
            with contextlib.suppress(FirkinError):
                await port.aclose()
        await finished(TaskScope().start(self._scope.aclose(), "end of forwarded ports"))
