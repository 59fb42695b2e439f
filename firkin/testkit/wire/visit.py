"""Where an agent is checked, and what checks have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import msgspec

if TYPE_CHECKING:
    from firkin.wire.sandbox_context_pb2_grpc import SandboxContextAsyncStub

REFUSALS = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)
"""What a call fails with that is about something that does not exist."""


class Visit(msgspec.Struct, frozen=True):
    """Where an agent is checked.

    Attributes:
        stub: the agent.
        scratch: a directory of the guest that the checks may make, fill and remove.
        rootfs: a root filesystem of the guest with `sh`, in which processes are run; "" when there is none.
    """

    stub: SandboxContextAsyncStub
    scratch: str
    rootfs: str = ""


def expect(holds: bool, otherwise: str) -> None:
    """Fail with `otherwise` unless it holds."""
    if not holds:
        raise AssertionError(otherwise)
