"""An asynchronous interface of everything that the generator of the facade can translate, and of what it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from firkin.application.container import Container
from firkin.application.opening import Opening
from firkin.application.pod import Pod
from firkin.domain.reports import StoreUsage
from firkin.ports.agent_processes import ProcessStreams

_HIDDEN_LIMIT = 3


class _Named:
    @property
    def name(self) -> str:
        """From a private base class."""
        return "name"


class Sample(_Named):
    """`async with` it."""

    def __init__(self, containers: tuple[Container, ...], label: str | None) -> None:
        self.label = label
        self.limit: int = _HIDDEN_LIMIT
        self._containers = containers

    async def by_name(self) -> Mapping[str, Container]:
        return {container.id: container for container in self._containers}

    def all(self) -> list[Container]:
        return list(self._containers)

    def opened(self, beside: Pod | None = None, *, number: int = _HIDDEN_LIMIT, **more: str) -> Opening[Pod]:
        raise KeyError(beside, number, more)

    def later(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def usages(self) -> AsyncIterator[StoreUsage]:
        yield StoreUsage(1, 1, 1, 1)

    def each(self) -> AsyncIterator[Container]:
        raise KeyError

    @asynccontextmanager
    async def held(self, seconds: float) -> AsyncIterator[int]:
        yield int(seconds)

    def lent(self) -> AbstractAsyncContextManager[Container | None]:
        raise KeyError

    def _private(self) -> None: ...


class TakesAnIterator:
    async def feed(self, source: AsyncIterator[bytes]) -> None: ...


class TakesACoroutineFunction:
    def on_exit(self, callback: Callable[[], Awaitable[None]]) -> None: ...


class HidesItsType:
    def __init__(self) -> None:
        self.count = 3


class IsStatic:
    @staticmethod
    def make() -> None: ...


class IsCompared:
    def __lt__(self, other: object) -> bool:
        return True


class NestsTwins:
    def pairs(self) -> tuple[Container, int]:
        raise KeyError


class GivesStreams:
    async def streams(self) -> ProcessStreams:
        return ProcessStreams()
