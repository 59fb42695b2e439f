"""Asking a container how it is."""

from __future__ import annotations

import msgspec


class Probe(msgspec.Struct, frozen=True):
    """A question that is put to a container again and again: a command in it, where exit code 0 is a success.

    Attributes:
        command: the command and its arguments.
        initial_delay_seconds: from the container's start to the first time.
        period_seconds: from one time to the next.
        timeout_seconds: how long one may take; what takes longer is killed, and failed.
        success_threshold: how many successes in a row make up for a failure.
        failure_threshold: how many failures in a row count.
    """

    command: tuple[str, ...]
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3

    @classmethod
    def exec(cls, *command: str) -> Probe:
        """A probe that runs a command, with Kubernetes' times."""
        return cls(command)


class Probes(msgspec.Struct, frozen=True):
    """The probes of a container.

    Attributes:
        startup: until it succeeded, the others wait; when it fails for good, the container is killed.
        liveness: when it fails for good, the container is killed.
        readiness: tells `Container.ready`.
    """

    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None


class Hooks(msgspec.Struct, frozen=True):
    """Commands that are run in a container at turns of its life; empty for none.

    Attributes:
        post_start: right after its start; when it fails, the container is killed.
        pre_stop: before it is asked to end; its time is taken off the grace period, and its failure changes nothing.
    """

    post_start: tuple[str, ...] = ()
    pre_stop: tuple[str, ...] = ()
