"""Processes: where their streams go, how they end."""

from __future__ import annotations

import enum
import signal as signals
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from .stages import CONTAINER_STAGES


class Stdio(enum.StrEnum):
    """Where a standard stream of a container's process goes."""

    NULL = "null"
    """Nowhere: /dev/null inside the container. The default."""
    PIPED = "piped"
    """To the caller, as a stream of the container's handle."""
    INHERIT = "inherit"
    """To the stream of the same name of the caller's own process."""
    LOG = "log"
    """Into the container's log, which any number of readers may read and follow. No agent is asked for it: to the
    agent it is piped."""


class StdioOptions(msgspec.Struct, frozen=True):
    """Where the three standard streams go."""

    stdin: Stdio = Stdio.NULL
    stdout: Stdio = Stdio.NULL
    stderr: Stdio = Stdio.NULL

    @property
    def logged(self) -> tuple[str, ...]:
        """Which of them go into the container's log."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is Stdio.LOG)

    @property
    def for_agent(self) -> StdioOptions:
        """The same with those piped that are logged."""
        return replace(self, **dict.fromkeys(self.logged, Stdio.PIPED))


class ExitReason(enum.StrEnum):
    """Who or what ended a process."""

    EXITED = "exited"
    SIGNALED = "signaled"
    OOM_KILLED = "oom-killed"
    SANDBOX_DIED = "sandbox-died"


class ExitStatus(msgspec.Struct, frozen=True):
    """How a process ended.

    Attributes:
        code: the exit code; 128 + n when signal n ended the process, as shells have it.
        signal: the number of the signal that ended it, or None.
        reason: what ended it.
    """

    code: int
    signal: int | None = None
    reason: ExitReason = ExitReason.EXITED

    @classmethod
    def from_signal(cls, signal: int, reason: ExitReason = ExitReason.SIGNALED) -> ExitStatus:
        """The status of a process that signal number `signal` ended."""
        return cls(128 + signal, signal, reason)

    @property
    def success(self) -> bool:
        """True for exit code 0."""
        return self.code == 0

    def __str__(self) -> str:
        if self.signal is None:
            return f"exit code {self.code}"
        try:
            name = signals.Signals(self.signal).name
        except ValueError:
            name = f"signal {self.signal}"
        return f"killed by {name} ({self.reason})" if self.reason != ExitReason.SIGNALED else f"killed by {name}"


class Output(msgspec.Struct, frozen=True):
    """What a process left: its status and the bytes of its piped streams (empty when not piped)."""

    status: ExitStatus
    stdout: bytes = b""
    stderr: bytes = b""


class ProcessRef(msgspec.Struct, frozen=True):
    """Addresses a process in the sandbox: `process_id` equals `container_id` for a container's init."""

    container_id: str
    process_id: str

    @property
    def is_init(self) -> bool:
        """True for a container's init process."""
        return self.container_id == self.process_id


class ContainerStartupTiming(msgspec.Struct, frozen=True):
    """Where the time of one container start went, in seconds.

    Attributes:
        template_seconds: finding or materialising the image's template, or waiting for who does.
        prepare_seconds: directories and overlay mount, when done in a call of their own.
        spec_build_seconds: lowering image config and spec to an OCI runtime spec, and encoding it.
        stdio_prepare_seconds: opening the listeners of the piped streams.
        start_rpc_seconds: the agent's call that creates and starts the process, as seen by the host.
        runtime_seconds: the part of it that the OCI runtime took, as seen by the agent.
        total_seconds: begin to started.
        pull_seconds, inflate_seconds, hash_seconds, write_seconds: the parts of making the template, over all its
            layers: waiting for the blobs' bytes, decompressing, hashing blobs and archives, writing the files. They run
            beside each other, so they may be more than `template_seconds`. 0 for a template that was there.
        commit_seconds: syncing the template and renaming it into place.
        post_start_seconds: its post-start command, after `total_seconds`.
        create_seconds: the part of the start call before the OCI runtime: streams, overlay and bundle.
    """

    template_seconds: float = 0.0
    prepare_seconds: float = 0.0
    spec_build_seconds: float = 0.0
    stdio_prepare_seconds: float = 0.0
    start_rpc_seconds: float = 0.0
    runtime_seconds: float = 0.0
    total_seconds: float = 0.0
    pull_seconds: float = 0.0
    inflate_seconds: float = 0.0
    hash_seconds: float = 0.0
    write_seconds: float = 0.0
    commit_seconds: float = 0.0
    create_seconds: float = 0.0
    post_start_seconds: float = 0.0

    @classmethod
    def from_stages(cls, stage_seconds: Mapping[str, float], total_seconds: float) -> ContainerStartupTiming:
        """Of the seconds of `CONTAINER_STAGES`; a stage that is not there took no time."""
        known = {_TIMING_FIELDS[stage]: seconds for stage, seconds in stage_seconds.items()}
        return cls(**known, total_seconds=total_seconds)

    @property
    def stage_seconds(self) -> Mapping[str, float]:
        """By stage, in the order of `CONTAINER_STAGES`."""
        return {stage: getattr(self, field) for stage, field in _TIMING_FIELDS.items()}


_TIMING_FIELDS = {stage: f"{stage}_seconds" for stage in CONTAINER_STAGES} | {
    "overlay": "prepare_seconds",
    "spec": "spec_build_seconds",
    "streams": "stdio_prepare_seconds",
    "call": "start_rpc_seconds",
    "start": "runtime_seconds",
    "post start": "post_start_seconds",
}
