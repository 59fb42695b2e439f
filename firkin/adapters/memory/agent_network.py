"""A network in memory: ports that programs say they answer on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from firkin.domain.probes import HttpGetAction, PortAction
from firkin.domain.process import ProcessRef

from .programs import MemoryProcess


class MemoryAgentNetwork:
    """Asks the programs that run."""

    _processes: dict[ProcessRef, MemoryProcess]

    def _call(self, operation: str) -> AbstractAsyncContextManager[None]:
        """One call: where faults are injected, and the sandbox's death is noticed."""
        raise TypeError("the agent that this is a part of has no calls")

    async def check_port(self, action: PortAction, timeout_seconds: float) -> str | None:
        """A GET request is answered as the program of the port says; anything else that is listening is well."""
        async with self._call("check_port"):
            running = (process for process in self._processes.values() if not process.exit.done())
            answer = next((one.ports[action.port] for one in running if action.port in one.ports), None)
        if answer is None:
            return f"got no answer from {action.host} port {action.port}: Connection refused"
        status = answer(action.path) if isinstance(action, HttpGetAction) else 200
        return None if 200 <= status < 400 else f"was answered with HTTP status {status}"
