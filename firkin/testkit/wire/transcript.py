"""A gRPC session as text that people can read and compare."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import msgspec
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.text_format import MessageToString

from firkin.wire import agent_pb2, sandbox_context_pb2

_SERVICES = {
    service.full_name: service
    for file in (agent_pb2.DESCRIPTOR, sandbox_context_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
}
BACKGROUND = ("WaitProcess", "Events", "ContainerStatistics")
"""Calls that go on beside the others, at times of their own."""
REPORTING = ("EnsureTemplate",)
"""Calls that tell how far they are as often as time goes by: only their last message is kept."""

_LONGEST_VALUE = 100
# What is another number each time, by the names that the contracts have for it.
_NUMBERS = re.compile(
    r"^(\s*)(pid|guest_pid|port|stdin|stdout|stderr|ino|dev|nanos|exited_at|entries|\w*_?(?:usec|seconds|bytes|blocks)|"
    r"\w+_(?:nanoseconds|size)|at_unix_\w+): \d+$",
    re.MULTILINE,
)
_SECONDS = re.compile(r"^(\s*value): \d+(?:\.\d+)?(?:e-?\d+)?$", re.MULTILINE)
_SECRETS = re.compile(r'^(\s*)(token): ".*"$', re.MULTILINE)
_DIGESTS = re.compile(r"sha256([:-])[0-9a-f]{64}")
_VERSIONS = re.compile(r'^(\s*)(version|runtime): ".*"$', re.MULTILINE)
_CONFIGURATIONS = re.compile(r'^(\s*)(runtime_spec|configuration): ".*"$', re.MULTILINE)


class CallRecord(msgspec.Struct):
    """One call: what was sent, what came back, how it ended.

    Attributes:
        method: for example `firkin.agent.v1.Agent/GetInfo`.
        status: a gRPC status code and its sentence; "" while it goes on.
    """

    method: str
    sent: list[str] = []
    received: list[str] = []
    status: str = ""

    @property
    def is_background(self) -> bool:
        """Whether its place among the others means nothing."""
        return self.method.rpartition("/")[2] in BACKGROUND

    def text(self) -> str:
        """The call as paragraphs of text."""
        lines = [self.method]
        received = self.received[-1:] if self.method.rpartition("/")[2] in REPORTING else self.received
        for mark, messages in (("->", self.sent), ("<-", received)):
            for message in messages:
                body = message.rstrip("\n").replace("\n", "\n     ")
                lines.append(f"  {mark} {body or '(nothing)'}")
        return "\n".join([*lines, f"  == {self.status or 'still going on'}"])


class Transcript:
    """The calls of a session, in the order in which they began; messages are decoded and made comparable."""

    def __init__(self) -> None:
        self.calls: list[CallRecord] = []

    def begin(self, method: str) -> CallRecord:
        """Note a call; `method` is gRPC's path, `/service/name`."""
        call = CallRecord(method.removeprefix("/"))
        self.calls.append(call)
        return call

    def sent(self, call: CallRecord, data: bytes) -> None:
        """Note a message to the agent."""
        call.sent.append(_readable(call.method, data, lambda method: method.input_type))

    def received(self, call: CallRecord, data: bytes) -> None:
        """Note a message of the agent."""
        call.received.append(_readable(call.method, data, lambda method: method.output_type))

    def text(self) -> str:
        """All calls: first those in their order, then those that went on beside them, by name."""
        ordered = [call.text() for call in self.calls if not call.is_background]
        beside = sorted(call.text() for call in self.calls if call.is_background)
        heading = ["# beside these, at times of their own:"] if beside else []
        return "\n\n".join([*ordered, *heading, *beside]) + "\n"


def _readable(method: str, data: bytes, type_of: Callable[[MethodDescriptor], Descriptor]) -> str:
    service_name, _, name = method.rpartition("/")
    service = _SERVICES.get(service_name)
    found = None if service is None else service.methods_by_name.get(name)
    if found is None:
        return f"({len(data)} bytes of a call that is in no contract)"
    message: Message = GetMessageClass(type_of(found))()
    message.ParseFromString(data)
    return comparable(MessageToString(message))


def comparable(text: str) -> str:
    """Replace what is another value each time by its name in capitals, and shorten what is long."""
    text = _NUMBERS.sub(lambda found: f"{found[1]}{found[2]}: {found[2].upper()}", text)
    text = _SECONDS.sub(r"\1: SECONDS", text)
    text = _SECRETS.sub(r"\1\2: SECRET", text)
    text = _VERSIONS.sub(lambda found: f"{found[1]}{found[2]}: {found[2].upper()}", text)
    text = _CONFIGURATIONS.sub(r"\1\2: (an OCI runtime spec)", text)
    text = _DIGESTS.sub(r"sha256\1DIGEST", text)
    return "\n".join(_shortened(text.splitlines()))


def _shortened(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield line if len(line) <= _LONGEST_VALUE else f"{line[:_LONGEST_VALUE]}... ({len(line)} characters)"
