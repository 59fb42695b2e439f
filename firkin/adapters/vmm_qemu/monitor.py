"""QEMU's monitor (QMP): why a machine stopped, and asking QEMU to quit."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from qemu.qmp import EventListener, QMPClient, QMPError

from firkin.application.task_scope import TaskScope, finished

# QEMU documentation, ShutdownCause: what it says, and what it means for a machine of firkin's.
_CAUSES = {
    "guest-shutdown": "the guest switched itself off",
    "guest-reset": "the guest's kernel panicked, or its init ended",
    "guest-panic": "the guest's kernel panicked",
    "host-qmp-quit": "it was told to quit",
    "host-signal": "QEMU was sent a signal",
}
_DISCONNECT_SECONDS = 2.0


class Monitor:
    """Listens for QEMU's connection; an asynchronous context manager."""

    def __init__(self, name: str, path: Path) -> None:
        self._client = QMPClient(name)
        self._path = path
        self._shutdown = EventListener("SHUTDOWN")
        self._client.register_listener(self._shutdown)

    async def __aenter__(self) -> Monitor:
        try:
            # Whole: a cancellation in the middle would leave a coroutine of the client's that nobody awaits.
            await finished(TaskScope().start(self._client.start_server(str(self._path)), "listen for QEMU's monitor"))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        # What is left to say on a connection whose other end has gone is of no interest.
        with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
            async with asyncio.timeout(_DISCONNECT_SECONDS):
                await self._client.disconnect()
        self._path.unlink(missing_ok=True)

    async def connected(self) -> None:
        """Wait until QEMU has made the machine and answers.

        Raises:
            QMPError: what connected does not speak the protocol.
        """
        await self._client.accept()

    async def quit(self) -> None:
        """Ask QEMU to flush its disks and exit; returns when it has heard."""
        with contextlib.suppress(QMPError, EOFError, OSError):
            await self._client.execute("quit")

    async def status(self) -> str:
        """What QEMU says of the machine (RunState): `running`, `paused`, `io-error` and others; "" when nothing."""
        try:
            status = await self._client.execute("query-status")
        except (QMPError, EOFError, OSError):
            return ""
        return str(status.get("status", "")) if isinstance(status, dict) else ""

    async def interrupt(self) -> None:
        """Send the guest's processors a non-maskable interrupt."""
        await self._client.execute("inject-nmi")

    @property
    def has_shut_down(self) -> bool:
        """Whether QEMU has told that the machine stopped for good, upon which it exits."""
        return bool(self._shutdown.history)

    def shutdown_cause(self) -> str:
        """Why the machine stopped, as far as QEMU has told; "" when it has not."""
        reasons = []
        for event in self._shutdown.clear():
            data = event.get("data")
            reasons.append(str(data.get("reason")) if isinstance(data, dict) else "")
        return _CAUSES.get(reasons[0], reasons[0]) if reasons else ""
