"""What the layers of a call may amount to, as the host says over either service."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from grpc.aio import ServicerContext

from firkin.domain.context_additions import LAYER_LIMITS_KEY
from firkin.domain.errors import InvalidArgument
from firkin.domain.json_decoding import decoded_json
from firkin.domain.layer_limits import LayerLimits, changed_limits


def limits_from(changes: Mapping[str, int]) -> LayerLimits:
    """The agent's own limits, but for those that are given.

    Raises:
        InvalidArgument: there is no limit of a name, or a limit is none.
    """
    try:
        return changed_limits(changes)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def limits_of_call(context: ServicerContext[object, object]) -> LayerLimits:
    """What the metadata of a call of SandboxContext say.

    Raises:
        InvalidArgument: as limits_from, and when they are not a JSON object of numbers.
    """
    for key, value in context.invocation_metadata() or ():
        if key == LAYER_LIMITS_KEY:
            try:
                return limits_from(decoded_json(value if isinstance(value, bytes) else value.encode(), dict[str, int]))
            except msgspec.DecodeError as error:
                raise InvalidArgument(f"{LAYER_LIMITS_KEY}: {error}") from error
    return LayerLimits()
