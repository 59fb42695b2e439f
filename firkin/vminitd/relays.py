"""Relays: one stream of a process each, driven by readiness, none in the way of another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable

from .transfer import (
    CopyTransfer,
    DroppingTransfer,
    SpliceTransfer,
    Step,
    TerminalTransfer,
    Transfer,
    cannot_splice,
    is_readable,
    readable_bytes,
)

_NO_SINK = -1


class Relay:
    """Moves bytes from a source to a sink until the source ends or nobody reads the sink.

    A slow sink stops only this relay: what the source holds then stays in the kernel, where its writer feels it.

    Attributes:
        ended: done once the source ended (or the sink broke) and the sink was told.
        moved_bytes: bytes that the sink took.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        close: Callable[[], None],
        transfer: Transfer | None = None,
        has_more: Callable[[int], int | bool] = readable_bytes,
    ) -> None:
        """Own both descriptors through `close`, which also tells the sink that no more comes.

        `transfer` is the way of moving, splice(2) when None; `has_more` tells whether the source holds anything.
        """
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._sink = sink
        self._close = close
        self._transfer: Transfer = transfer or SpliceTransfer(source, sink)
        self._has_more = has_more
        self._waits_for_sink = False
        self._draining: asyncio.Future[None] | None = None
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(source, self._step)

    @property
    def moved_bytes(self) -> int:
        """Bytes that left the source and were taken by the sink."""
        return self._transfer.moved_bytes

    def drained(self) -> asyncio.Future[None]:
        """Done once what the source holds now was handed on, or the relay has ended."""
        if self.ended.done():
            return self.ended
        if self._draining is None or self._draining.done():
            self._draining = self._loop.create_future()
            self._settle_drain()
        return self._draining

    def close(self) -> None:
        """Stop, whatever is left; twice is fine."""
        if self.ended.done():
            return
        self._loop.remove_reader(self._source)
        if self._sink != _NO_SINK:
            self._loop.remove_writer(self._sink)
        self._close()
        self.ended.set_result(None)
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)

    def _step(self) -> None:
        try:
            step = self._transfer.step()
        except OSError as error:
            if isinstance(self._transfer, SpliceTransfer) and cannot_splice(error):
                copying = CopyTransfer(self._source, self._sink)
                copying.moved_bytes = self._transfer.moved_bytes
                self._transfer = copying
            else:
                print(f"vminitd: a stream ended early: {error}", file=sys.stderr, flush=True)
                self.close()
            return
        if step in (Step.ENDED, Step.BROKEN):
            self.close()
            return
        # What is ready and still blocks waits for the other side: the sink is full, or the source was emptied.
        blocked_by_sink = step is Step.BLOCKED and not self._waits_for_sink
        self._wait_for_sink(blocked_by_sink or self._transfer.has_pending)
        self._settle_drain()

    def _wait_for_sink(self, wanted: bool) -> None:
        if wanted == self._waits_for_sink or self._sink == _NO_SINK:
            return
        self._waits_for_sink = wanted
        if wanted:
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._sink, self._step)
        else:
            self._loop.remove_writer(self._sink)
            self._loop.add_reader(self._source, self._step)

    def _settle_drain(self) -> None:
        if self._draining is None or self._draining.done():
            return
        if not self._transfer.has_pending and not self._has_more(self._source):
            self._draining.set_result(None)


def output_relay(pipe: int, peer: socket.socket) -> Relay:
    """Hand what a process writes into a pipe to the host; the host sees the end, the process a broken pipe."""

    def close() -> None:
        os.close(pipe)
        _shut_down_writing(peer)
        peer.close()

    return Relay(pipe, peer.fileno(), close)


def terminal_output_relay(master: int, peer: socket.socket | None) -> Relay:
    """Hand what a process writes to its terminal to the host, or drop it; the host sees the end."""

    def close() -> None:
        os.close(master)
        if peer is not None:
            _shut_down_writing(peer)
            peer.close()

    if peer is None:
        return Relay(master, _NO_SINK, close, DroppingTransfer(master), is_readable)
    return Relay(master, peer.fileno(), close, TerminalTransfer(master, peer.fileno()), is_readable)


def input_relay(peer: socket.socket, sink: int, *, splices: bool = True) -> Relay:
    """Hand what the host sends to a process; the host's end of input closes the pipe (or the relay's terminal)."""

    def close() -> None:
        os.close(sink)
        peer.close()

    transfer = None if splices else TerminalTransfer(peer.fileno(), sink)
    # By poll(2): vsock sockets do not tell how much they hold (FIONREAD).
    return Relay(peer.fileno(), sink, close, transfer, is_readable)


def _shut_down_writing(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        peer.shutdown(socket.SHUT_WR)
