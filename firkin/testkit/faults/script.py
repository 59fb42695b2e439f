"""Which call goes wrong, and how."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from firkin.domain.errors import SandboxDied
from firkin.ports.agent_connector import AgentConnector
from firkin.ports.image_source import ImageSource
from firkin.ports.pod_control import ControlConnector
from firkin.ports.pod_registry import PodRegistry
from firkin.ports.sandbox import Sandbox
from firkin.ports.store import PodStore
from firkin.ports.vmm import Vmm

from .kinds import Fault, FaultKind, error_of

T = TypeVar("T")


class _Rule(msgspec.Struct):
    pattern: str
    fault: Fault
    call: int
    seen: int = 0
    passed_bytes: int = 0

    def strikes(self, name: str, size: int) -> bool:
        """Count a call, and tell whether it is the one."""
        if not fnmatchcase(name, self.pattern):
            return False
        self.seen += 1
        before, self.passed_bytes = self.passed_bytes, self.passed_bytes + size
        if self.fault.at_byte is not None:
            return before <= self.fault.at_byte < self.passed_bytes
        return self.seen == self.call


class FaultScript:
    """Rules, the calls so far, and wrappers for adapters whose calls obey the rules.

    Attributes:
        calls: every call that was begun, by name.
        injected: what was done, for example `agent.start_container #2: late`.
        on_call: told of every call before it begins; may cancel a task, or raise.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.calls: list[str] = []
        self.injected: list[str] = []
        self.on_call: Callable[[str], None] | None = None
        self._rules: list[_Rule] = []
        self._random = random.Random(seed)
        self._chance: tuple[float, tuple[Fault, ...]] | None = None
        self._counted: Counter[str] = Counter()
        self._sandboxes: list[Sandbox] = []

    def on(self, pattern: str, fault: Fault, *, call: int = 1) -> None:
        """Let the call of this number (from 1) among those whose name matches go wrong; `agent.*` matches them all."""
        self._rules.append(_Rule(pattern, fault, call))

    def at_random(self, probability: float, faults: Iterable[Fault]) -> None:
        """Let each call go wrong with this probability, in one of these ways, as the seed has it."""
        self._chance = (probability, tuple(faults))

    def clear(self) -> None:
        """Forget all rules; what is counted stays."""
        self._rules.clear()
        self._chance = None

    def fault_of(self, name: str, size: int = 0) -> Fault | None:
        """Count a call that moves `size` bytes, and tell what goes wrong with it."""
        self.calls.append(name)
        self._counted[name] += 1
        if self.on_call is not None:
            self.on_call(name)
        fault = next((rule.fault for rule in self._rules if rule.strikes(name, size)), None)
        if fault is None and self._chance is not None and self._random.random() < self._chance[0]:
            fault = self._random.choice(self._chance[1])
        if fault is not None:
            self.injected.append(f"{name} #{self._counted[name]}: {fault}")
        return fault

    async def perform(self, name: str, work: Callable[[], Awaitable[T]], size: int = 0, *, again: bool = False) -> T:
        """Make a call as the rules have it; `again`: a DUPLICATE makes it twice."""
        fault = self.fault_of(name, size)
        if fault is None:
            return await work()
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault.kind is FaultKind.DUPLICATE and again:
            await work()
        elif fault.kind is not FaultKind.DUPLICATE:
            await self._failed(fault, name, work)
        return await work()

    async def _failed(self, fault: Fault, name: str, work: Callable[[], Awaitable[object]]) -> None:
        if fault.has_effect:
            await work()
        if fault.kind in (FaultKind.FREEZE, FaultKind.LATE):
            await asyncio.sleep(fault.seconds)
        if fault.kind is FaultKind.DIE:
            await self._die()
            raise SandboxDied(f"injected at {name}").during(name, outcome=error_of(fault, name).outcome)
        raise error_of(fault, name)

    async def _die(self) -> None:
        for sandbox in tuple(self._sandboxes):
            await sandbox.stop(0)

    def sandbox_began(self, sandbox: Sandbox) -> None:
        """Note which sandbox a DIE ends."""
        self._sandboxes.append(sandbox)

    def sandbox_over(self, sandbox: Sandbox) -> None:
        """It is left."""
        self._sandboxes.remove(sandbox)

    def vmm(self, vmm: Vmm) -> Vmm:
        """A VMM whose calls `vmm.boot`, `vmm.leave` and `sandbox.*` obey the rules."""
        from .host_ports import FaultyVmm

        return FaultyVmm(vmm, self)

    def store(self, store: PodStore) -> PodStore:
        """A pod store whose calls `store.open` and `store.leave` obey the rules."""
        from .host_ports import FaultyPodStore

        return FaultyPodStore(store, self)

    def agents(self, connector: AgentConnector) -> AgentConnector:
        """A connector whose calls `agents.*` obey the rules, and those of its agents, `agent.*`."""
        from .agent import FaultyAgentConnector

        return FaultyAgentConnector(connector, self)

    def images(self, source: ImageSource) -> ImageSource:
        """An image source whose call `images.resolve` obeys the rules."""
        from .host_ports import FaultyImageSource

        return FaultyImageSource(source, self)

    def controls(self, connector: ControlConnector) -> ControlConnector:
        """A way to supervisors whose calls `controls.*` obey the rules, and those of their pods, `control.*`."""
        from .pod_control import FaultyControlConnector

        return FaultyControlConnector(connector, self)

    def registry(self, registry: PodRegistry) -> PodRegistry:
        """A registry of pods whose call `registry.save` obeys the rules of a disk: NO_SPACE and IO_ERROR."""
        from .pod_registry import FaultyPodRegistry

        return FaultyPodRegistry(registry, self)
