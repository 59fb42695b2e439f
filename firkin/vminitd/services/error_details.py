"""What a failed call says beside its status, in so few bytes that it arrives."""

from __future__ import annotations

from urllib.parse import quote

from google.protobuf.any_pb2 import Any as PackedDetail
from grpc import StatusCode

from firkin.wire.agent_pb2 import ErrorDetail

DETAILS_KEY = "grpc-status-details-bin"
# gRPC drops some answers whose headers have more than 8 KiB, and all of those with more than 16.
_HEADER_BYTES = 7000
_LONGEST_TEXTS_BYTES = (2048, 1024, 512, 128)


def text(value: str) -> str:
    """The value for the wire, which takes UTF-8 alone; names of files may be anything."""
    return value.encode("utf-8", "backslashreplace").decode()


def shortened(value: str, longest_bytes: int = _LONGEST_TEXTS_BYTES[0]) -> str:
    """The beginning of a text, for the wire."""
    data = value.encode("utf-8", "backslashreplace")
    return data[:longest_bytes].decode("utf-8", "ignore") + ("..." if len(data) > longest_bytes else "")


def fitting(code: StatusCode, message: str, detail: ErrorDetail) -> tuple[str, bytes]:
    """The message and the packed details of a status, their texts shortened as far as the headers demand."""
    for longest_bytes in _LONGEST_TEXTS_BYTES:
        told = shortened(message, longest_bytes)
        packed = _packed(code, told, _with_shorter_texts(detail, longest_bytes))
        # The message is sent percent-encoded.
        if len(quote(told)) + len(packed) <= _HEADER_BYTES:
            break
    return told, packed


def _with_shorter_texts(detail: ErrorDetail, longest_bytes: int) -> ErrorDetail:
    shorter = ErrorDetail()
    shorter.CopyFrom(detail)
    shorter.path = shortened(detail.path, longest_bytes)
    shorter.reason = shortened(detail.reason, longest_bytes)
    for name, value in detail.values.items():
        shorter.values[name] = shortened(value, longest_bytes)
    return shorter


def _packed(code: StatusCode, message: str, detail: ErrorDetail) -> bytes:
    # Imported at the first failure: an agent that only succeeds starts without it.
    from google.rpc.status_pb2 import Status

    packed = PackedDetail()
    packed.Pack(detail)
    number: int = code.value[0]
    return Status(code=number, message=message, details=[packed]).SerializeToString()
