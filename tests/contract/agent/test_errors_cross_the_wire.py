"""Every error that vminitd raises arrives as itself: class, values and sentence."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from google.protobuf.any_pb2 import Any as PackedDetail
from google.rpc.status_pb2 import Status
from grpc.aio import AioRpcError, Metadata

from firkin.adapters.agent_grpc.errors import CallKind, translated
from firkin.domain.errors import (
    AgentError,
    BlobCorrupt,
    BlobMissing,
    CommandNotExecutable,
    CommandNotFound,
    ContainerExists,
    ContainerNotFound,
    ContainerNotRunning,
    CopyFailed,
    DeadlineExceeded,
    DiffIdMismatch,
    FirkinError,
    ImageInvalid,
    InvalidArgument,
    InvalidDigest,
    InvalidGuestPath,
    InvalidId,
    InvalidRelativePath,
    LayerRefused,
    MediaTypeUnsupported,
    MissingTool,
    Outcome,
    PathRefused,
    PermissionMissing,
    RuntimeFailed,
    StartFailed,
    StoreDamaged,
    StoreFull,
    StoreTooSmall,
    UnsupportedFeature,
    UserUnknown,
)
from firkin.vminitd.services.errors import described

ERRORS: tuple[FirkinError, ...] = (
    AgentError("mount pod store", "it does not exist", path="/dev/vdb", errno=2),
    BlobCorrupt("sha256:aa", "sha256:bb"),
    BlobMissing("oci:x", "sha256:aa"),
    CommandNotExecutable("/bin/garbage", "Exec format error"),
    CommandNotExecutable("/bin/garbage", "it is no program", errno=8),
    CommandNotFound("nope"),
    CommandNotFound("./nope", "its interpreter is missing"),
    ContainerExists("p", "c"),
    ContainerNotFound("p", "c"),
    ContainerNotRunning("c", "ended"),
    ContainerNotRunning("c", "being created", errno=16),
    CopyFailed("/x", "it does not exist", errno=2),
    DeadlineExceeded("delete container", 2.5),
    DiffIdMismatch("sha256:l", "sha256:aa", "sha256:bb"),
    ImageInvalid("oci:x", "no manifest"),
    InvalidArgument("signal 99 is none"),
    InvalidDigest("md5:1"),
    InvalidGuestPath("/a/../b", "it has a component '..'"),
    InvalidId("container", ".", "its first character is no letter or digit"),
    InvalidRelativePath("../x", "it has a component '..'"),
    LayerRefused("sha256:l", "../evil", "it leads out of the rootfs"),
    LayerRefused("sha256:l", "", "it is no archive"),
    LayerRefused("sha256:l", "a", "Too many links", errno=31),
    MediaTypeUnsupported("text/plain", "it is not a layer"),
    MissingTool("crun", "running containers", "crun"),
    PathRefused("a/link/b", "it leads through a symbolic link"),
    PathRefused("a/link/b", "it leads through a symbolic link", errno=40),
    PermissionMissing("mount", "run as root"),
    RuntimeFailed("crun", "cgroups in hybrid mode"),
    RuntimeFailed("crun", "mount `proc`: Operation not permitted", errno=1),
    StartFailed("it ended before it began"),
    StoreDamaged("/run/firkin/pod-store", "bad superblock"),
    StoreFull("/run/firkin/pod-store/x"),
    StoreTooSmall("/x", 10, 1000),
    UnsupportedFeature("Copy of an archive", "it is not built yet"),
    UserUnknown("nobody-here", "not in /etc/passwd"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error.code}: {error}"[:60])
def test_an_error_of_the_agent_arrives_as_itself(error: FirkinError) -> None:
    arrived = translated(_sent(error), CallKind("label of the host", 30))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    values = {name: value for name, value in vars(error).items() if name not in ("operation", "outcome")}
    assert {name: getattr(arrived, name) for name in values} == values
    assert arrived.outcome is Outcome.DID_NOT
    assert arrived.errno == error.errno != 0


def test_an_error_arrives_with_the_container_that_the_call_was_about() -> None:
    sent = _sent(InvalidArgument("signal 99 is none"), {"container_id": "c", "process_id": "p", "pod_id": "p-1"})
    arrived = translated(sent, CallKind("label", 30))
    assert (type(arrived), arrived.container_id, arrived.pod_id) == (InvalidArgument, "c", "p-1")


def test_the_container_of_an_error_wins_over_that_of_the_call() -> None:
    arrived = translated(_sent(ContainerNotFound("p", "c"), {"container_id": "other"}), CallKind("label", 30))
    assert (arrived.container_id, str(arrived)) == ("c", "pod 'p' has no container 'c'")


def test_an_os_error_of_the_agent_arrives_with_path_and_errno() -> None:
    arrived = translated(_sent(FileNotFoundError(2, "No such file or directory", "/x/y")), CallKind("label", 30))
    assert isinstance(arrived, AgentError)
    assert (arrived.path, arrived.errno) == ("/x/y", 2)


def test_a_full_filesystem_of_the_agent_arrives_as_a_full_store() -> None:
    arrived = translated(_sent(OSError(28, "No space left on device", "/x/y")), CallKind("label", 30))
    assert isinstance(arrived, StoreFull)
    assert arrived.path == "/x/y"


def test_the_operation_of_the_agent_wins_over_the_label_of_the_host() -> None:
    arrived = translated(_sent(UserUnknown("x", "y")), CallKind("label of the host", 30))
    assert arrived.operation == "what the agent did"


def _sent(error: Exception, subject: Mapping[str, str] | None = None) -> AioRpcError:
    """The failure as gRPC hands it to the host."""
    status, detail = described(error, "what the agent did", subject=subject)
    packed = PackedDetail()
    packed.Pack(detail)
    number: int = status.value[0]
    trailing = Metadata(("grpc-status-details-bin", Status(code=number, details=[packed]).SerializeToString()))
    return AioRpcError(status, Metadata(), trailing, str(error))
