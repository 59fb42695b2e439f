"""What the agent tells of the system's errors."""

from __future__ import annotations

import errno
import inspect
import os
import socket
from collections.abc import Callable
from urllib.parse import quote

import pytest
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from firkin import errors
from firkin.domain.errors import AgentError, FirkinError
from firkin.vminitd.error_numbers import told_number
from firkin.vminitd.filesystem.failures import translated
from firkin.vminitd.services.error_details import fitting
from firkin.vminitd.services.errors import described
from firkin.wire.agent_pb2 import ErrorDetail


def os_error(filename: str | bytes | int | None) -> OSError:
    """As the system raises it, of what a call was given: a path or a descriptor."""
    return OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), filename)


@pytest.mark.parametrize(
    ("filename", "asked", "told"),
    [
        ("/below/file", "/asked", "/below/file"),
        (b"/below/\xff", "/asked", r"/below/\udcff"),
        ("file", "/asked", "/asked"),
        ("file", "", "file"),
        (17, "/asked", "/asked"),
        (17, "", ""),
        (None, "/asked", "/asked"),
    ],
)
def test_an_error_names_the_path_that_says_most(filename: str | bytes | int | None, asked: str, told: str) -> None:
    _, detail = described(os_error(filename), "apply layer", asked)
    assert (detail.path, detail.errno, detail.reason) == (told, errno.ENOTDIR, "Not a directory")


PUBLIC = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FirkinError)]


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_every_class_of_errors_says_its_errno(kind: type[FirkinError]) -> None:
    """By itself or by a more general class, but for the most general one; or each error has its own."""
    below = kind.__mro__[: kind.__mro__.index(FirkinError)]
    has_its_own = "errno" in inspect.signature(kind).parameters
    assert kind is FirkinError or has_its_own or any("errno" in vars(one) for one in below)


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)
def test_whatever_the_agent_raises_has_an_errno(kind: type[FirkinError]) -> None:
    made: Callable[..., FirkinError] = kind
    error = made(*(_SAMPLES[parameter.annotation] for parameter in _required(kind)))
    _, detail = described(error, "try", "/asked", {"container_id": "c"})
    assert detail.errno == (error.errno or errno.EIO) > 0
    assert detail.errno in errno.errorcode
    assert detail.operation
    assert detail.path
    assert detail.values["container_id"]


_SAMPLES: dict[str, object] = {
    "str": "x", "int": 7, "float": 7.0, "object": "x", "str | None": "x",
    "tuple[str, ...]": ("x",), "tuple[SpecProblem, ...]": (errors.SpecProblem("x", "x", "x"),),
}  # fmt: skip


def _required(kind: type[FirkinError]) -> list[inspect.Parameter]:
    parameters = inspect.signature(kind).parameters.values()
    return [one for one in parameters if one.default is inspect.Parameter.empty]


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (TimeoutError(), errno.ETIMEDOUT),
        (ConnectionAbortedError("the host broke the file off"), errno.ECONNABORTED),
        (FileNotFoundError("gone"), errno.ENOENT),
        (OSError("something"), errno.EIO),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), errno.EIO),
        (OSError(errno.EXDEV, "the path crosses a mount point"), errno.EXDEV),
        (DecodeError("cut off"), errno.EINVAL),
        (RuntimeError("a defect"), errno.EIO),
    ],
    ids=repr,
)
def test_what_has_no_errno_is_given_one(error: Exception, number: int) -> None:
    _, detail = described(error, "try", "/asked")
    assert (detail.errno, detail.path, detail.operation) == (number, "/asked", "try")
    assert detail.reason


def test_a_name_that_is_not_known_is_told_in_the_resolvers_words() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    _, detail = described(error, "connect", "/asked")
    made = translated(error, "connect", "/asked")
    assert isinstance(made, AgentError)
    assert (detail.reason, made.reason, made.errno) == ("Name or service not known",) * 2 + (errno.EIO,)


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("mount `proc` to `proc`: Operation not permitted", errno.EPERM),
        ("writing sync procRun: exec format error\n", errno.ENOEXEC),
        ("clone: No space left on device.", errno.ENOSPC),
        ("Permission denied", errno.EACCES),
        ("setresuid to `7`: Invalid argument", errno.EINVAL),
        ("it does not say", errno.EIO),
        ("", errno.EIO),
    ],
)
def test_a_sentence_tells_its_errno_in_words(sentence: str, number: int) -> None:
    assert told_number(sentence) == number


@pytest.mark.parametrize("character", ["a", "%", "ä", "€", "\U0001f600"])
@pytest.mark.parametrize("length", [100, 1000, 4000])
def test_an_error_fits_into_the_headers_of_an_answer(character: str, length: int) -> None:
    path = "/" + character * length
    error = AgentError("mount", f"it is not as {path} is", path=path, errno=errno.EBUSY)
    code, detail = described(error, "mount", path, {"container_id": path, "process_id": path})
    message, packed = fitting(code, str(error), detail)
    assert len(quote(message)) + len(packed) < 7500
    told = ErrorDetail()
    assert Status.FromString(packed).details[0].Unpack(told)
    assert (told.errno, told.code, told.path[:20]) == (errno.EBUSY, "agent", path[:20])
    assert length > 100 or told.path == path
