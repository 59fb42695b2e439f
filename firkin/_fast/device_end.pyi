from typing import Final, NamedTuple

CLOSED: Final = "closed"
FRONT_END_GONE: Final = "front end gone"
FRONT_END_BROKEN: Final = "front end broken"
GUEST_BROKEN: Final = "guest broken"
HOST_FAILED: Final = "host failed"

class DeviceEnd(NamedTuple):
    kind: str
    problem: str
    reason: str
