"""The way to a supervisor, as a script has it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, cast

from firkin.domain.ids import ContainerId, PodId
from firkin.ports.pod_control import AttachedProcess, ControlConnector, ExecRequest, ExecutedProcess, PodControl

from .calls import FaultyCalls
from .host_ports import entered
from .script import FaultScript

P = TypeVar("P", bound=AttachedProcess)


class FaultyControlConnector:
    """A connector whose controls obey a script."""

    def __init__(self, connector: ControlConnector, script: FaultScript) -> None:
        self._connector = connector
        self._script = script

    @contextlib.asynccontextmanager
    async def connected(self, pod_id: PodId) -> AsyncIterator[PodControl]:
        """Connect, as the rules for `controls.connect` and `controls.leave` have it."""
        connection = self._connector.connected(pod_id)
        async with entered(self._script, "controls.connect", "controls.leave", connection) as control:
            yield cast(PodControl, _FaultyControl(control, self._script))


class _FaultyControl(FaultyCalls):
    """A control; so are the processes that it leads to."""

    def __init__(self, control: PodControl, script: FaultScript) -> None:
        super().__init__(control, script, "control")
        self._control = control

    def executed(self, request: ExecRequest) -> AbstractAsyncContextManager[ExecutedProcess]:
        """Run a process, as the rules for `control.executed` and `control.leave_executed` have it."""
        return self._process("executed", self._control.executed(request))

    def attached(self, container_id: ContainerId, *, with_input: bool) -> AbstractAsyncContextManager[AttachedProcess]:
        """Join a container, as the rules for `control.attached` and `control.leave_attached` have it."""
        return self._process("attached", self._control.attached(container_id, with_input=with_input))

    @contextlib.asynccontextmanager
    async def _process(self, name: str, context: AbstractAsyncContextManager[P]) -> AsyncIterator[P]:
        async with entered(self._script, f"control.{name}", f"control.leave_{name}", context) as process:
            yield cast(P, FaultyCalls(process, self._script, "control"))
