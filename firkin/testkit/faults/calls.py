"""Ports of many calls, each of which obeys a script."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from .script import FaultScript


class FaultyCalls:
    """Whatever a port can do, and however it grows: each method is a call of the script, `prefix` and its name."""

    def __init__(self, inner: object, script: FaultScript, prefix: str) -> None:
        self._inner = inner
        self._script = script
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.iscoroutinefunction(found):
            return self._call(name, found)
        if inspect.isasyncgenfunction(found):
            return self._stream(name, found)
        return found

    def _call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*arguments: Any, **named: Any) -> Any:
            size = sum(len(argument) for argument in (*arguments, *named.values()) if isinstance(argument, bytes))
            full = f"{self._prefix}.{name}"
            return self._answered(
                await self._script.perform(full, lambda: method(*arguments, **named), size, again=True)
            )

        return call

    def _answered(self, answer: Any) -> Any:
        """What the caller gets for an answer."""
        return answer

    def _stream(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def stream(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            items = method(*arguments, **named)
            async with contextlib.aclosing(items):
                while True:
                    try:
                        item = await self._script.perform(f"{self._prefix}.{name}", items.__anext__)
                    except StopAsyncIteration:
                        return
                    yield item

        return stream
