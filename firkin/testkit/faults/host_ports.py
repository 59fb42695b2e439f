"""The ports that lie on the host's side."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from firkin.domain.ids import PodId
from firkin.domain.image import ImageBundle, Platform
from firkin.domain.mounts import Mount
from firkin.domain.reports import Capabilities, SandboxExit
from firkin.domain.store_spec import PodStoreSpec
from firkin.ports.image_source import ImageSource
from firkin.ports.sandbox import Sandbox
from firkin.ports.store import PodStore, StoreMedium
from firkin.ports.vmm import SandboxRequest, Vmm

from .kinds import error_of
from .script import FaultScript

T = TypeVar("T")


@contextlib.asynccontextmanager
async def entered(
    script: FaultScript, enter: str, leave: str, context: AbstractAsyncContextManager[T]
) -> AsyncIterator[T]:
    """Enter and leave by the rules; what was entered is left whatever goes wrong, before a fault of leaving is told."""
    fault = None
    async with contextlib.AsyncExitStack() as stack:
        value = await script.perform(enter, lambda: stack.enter_async_context(context))
        try:
            yield value
        finally:
            fault = script.fault_of(leave)
    if fault is not None:
        raise error_of(fault, leave)


class FaultySandbox:
    """A sandbox whose calls obey a script."""

    def __init__(self, sandbox: Sandbox, script: FaultScript) -> None:
        self._sandbox = sandbox
        self._script = script

    @property
    def inner(self) -> Sandbox:
        """The sandbox itself, for connectors that need one of their own kind."""
        return self._sandbox

    @property
    def id(self) -> str:
        """Unique on this host while it lives."""
        return self._sandbox.id

    @property
    def socket_directory(self) -> Path:
        """The sandbox's own."""
        return self._sandbox.socket_directory

    @property
    def store_mount(self) -> Mount:
        """The sandbox's own."""
        return self._sandbox.store_mount

    async def expose_guest_port(self, port: int) -> None:
        """Expose it, as the rules for `sandbox.expose_guest_port` have it."""
        await self._script.perform("sandbox.expose_guest_port", lambda: self._sandbox.expose_guest_port(port))

    async def wait_ended(self) -> SandboxExit:
        """Wait for its end; no fault changes that."""
        return await self._sandbox.wait_ended()

    async def stop(self, grace_seconds: float) -> SandboxExit:
        """Stop it, as the rules for `sandbox.stop` have it."""
        return await self._script.perform("sandbox.stop", lambda: self._sandbox.stop(grace_seconds))


class FaultyVmm:
    """A VMM whose calls obey a script."""

    def __init__(self, vmm: Vmm, script: FaultScript) -> None:
        self._vmm = vmm
        self._script = script

    def capabilities(self) -> Capabilities:
        """The VMM's own."""
        return self._vmm.capabilities()

    @contextlib.asynccontextmanager
    async def booted(self, request: SandboxRequest) -> AsyncIterator[Sandbox]:
        """Boot, as the rules for `vmm.boot` and `vmm.leave` have it."""
        async with entered(self._script, "vmm.boot", "vmm.leave", self._vmm.booted(request)) as sandbox:
            self._script.sandbox_began(sandbox)
            try:
                yield FaultySandbox(sandbox, self._script)
            finally:
                self._script.sandbox_over(sandbox)


class FaultyPodStore:
    """A pod store whose calls obey a script."""

    def __init__(self, store: PodStore, script: FaultScript) -> None:
        self._store = store
        self._script = script

    @contextlib.asynccontextmanager
    async def opened(self, spec: PodStoreSpec, pod_id: PodId) -> AsyncIterator[StoreMedium]:
        """Open, as the rules for `store.open` and `store.leave` have it."""
        async with entered(self._script, "store.open", "store.leave", self._store.opened(spec, pod_id)) as medium:
            yield medium


class FaultyImageSource:
    """An image source whose calls obey a script."""

    def __init__(self, source: ImageSource, script: FaultScript) -> None:
        self._source = source
        self._script = script

    @property
    def scheme(self) -> str:
        """The source's own."""
        return self._source.scheme

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Resolve, as the rules for `images.resolve` have it."""
        return await self._script.perform("images.resolve", lambda: self._source.resolve(reference, platform))
