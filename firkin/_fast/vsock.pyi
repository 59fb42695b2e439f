import os
from types import TracebackType
from typing import NamedTuple, Self

from .device_end import CLOSED, FRONT_END_BROKEN, FRONT_END_GONE, GUEST_BROKEN, HOST_FAILED, DeviceEnd

__all__ = [
    "CLOSED",
    "FRONT_END_BROKEN",
    "FRONT_END_GONE",
    "GUEST_BROKEN",
    "HOST_FAILED",
    "DeviceEnd",
    "VsockDevice",
    "VsockStatistics",
]

class VsockStatistics(NamedTuple):
    open_streams: int
    streams_opened: int
    streams_refused: int
    packets_to_guest: int
    packets_from_guest: int
    bytes_to_guest: int
    bytes_from_guest: int
    bytes_held: int
    reads_awaited: int
    wakeups: int
    interrupts: int

class VsockDevice:
    def __init__(
        self,
        socket_path: str | os.PathLike[str],
        guest_cid: int,
        directory: str | os.PathLike[str],
        *,
        stream_limit: int = 512,
        window_bytes: int = 262144,
    ) -> None: ...
    def listen(self, guest_port: int) -> None: ...
    def start(self) -> None: ...
    def wait(self, timeout_seconds: float | None = None) -> DeviceEnd | None: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    def statistics(self) -> VsockStatistics: ...
    @property
    def end(self) -> DeviceEnd | None: ...
    @property
    def thread_id(self) -> int | None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
