"""What every call of SandboxContext promises, one row each: what succeeds, whether again, and how it fails.

What a call does is tested elsewhere, which each row names; here it is how it answers.
"""

from __future__ import annotations

import errno
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from google.protobuf.message import Message
from grpc import StatusCode

from firkin.wire import sandbox_context_pb2 as wire

CONTAINER = "running"
"""A container that runs, has a standard input, and is there for the calls about processes."""

_MEMORY = "/dev/shm"
"""A filesystem that is trimmed in no time: that of a whole disk takes its time, and stores are trimmed elsewhere."""

_INVALID, _MISSING, _EXISTS = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS
_INVALID_NUMBER = errno.EINVAL
_DENIED, _UNIMPLEMENTED, _INTERNAL = StatusCode.PERMISSION_DENIED, StatusCode.UNIMPLEMENTED, StatusCode.INTERNAL


class Failure(NamedTuple):
    """A request that fails with a status, with an errno, at a path."""

    request: Message
    status: StatusCode
    errno: int = _INVALID_NUMBER
    path: str = ""


class Row(NamedTuple):
    """One call.

    Attributes:
        succeeds: requests that succeed, some with nothing set but what is needed.
        again: whether they succeed a second time, because nothing is left to do.
        fails: requests that fail.
        tested_in: the module of this directory that tests what the call does.
    """

    succeeds: Sequence[Message]
    again: bool
    fails: Sequence[Failure]
    tested_in: str


def rows(scratch: Path, rootfs: Path) -> dict[str, Row]:
    """The rows, by the names of the calls; `scratch` is an empty directory that the agent sees as well."""
    return _filesystem_rows(scratch) | _process_rows(rootfs) | _sandbox_rows(scratch) | _network_rows(scratch)


def _filesystem_rows(scratch: Path) -> dict[str, Row]:
    here, missing = str(scratch), f"{scratch}/missing"
    archive = scratch / "layer.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    (scratch / "full/below").mkdir(parents=True)
    (scratch / "layer").mkdir()
    create = wire.WriteFileRequest.WriteFileFlags(create_if_missing=True)
    trim = wire.FiTrimParams(one_shot=wire.FiTrimParams.OneShot())
    copy_out = wire.CopyRequest.COPY_OUT
    return {
        "ApplyOciLayer": Row(
            [wire.ApplyOciLayerRequest(archive_path=str(archive), destination=f"{here}/layer")],
            True,
            [
                Failure(
                    wire.ApplyOciLayerRequest(archive_path=missing, destination=f"{here}/layer"),
                    _MISSING, errno.ENOENT, missing,
                ),
                Failure(
                    wire.ApplyOciLayerRequest(archive_path="x", destination=f"{here}/layer"),
                    _INVALID, errno.EINVAL, "x",
                ),
            ],
            "test_services",
        ),
        "Copy": Row(
            [],
            False,
            [
                Failure(
                    wire.CopyRequest(direction=copy_out, root=here, path="/missing", vsock_port=1),
                    _MISSING, errno.ENOENT, "/missing",
                ),
                Failure(
                    wire.CopyRequest(direction=copy_out, root=missing, path="/", vsock_port=1),
                    _MISSING, errno.ENOENT, "/",
                ),
                Failure(wire.CopyRequest(root=here, path="/file", vsock_port=1), _MISSING, errno.ENOENT, "host-1.sock"),
            ],
            "test_copy_calls",
        ),
        "FilesystemOperation": Row(
            [wire.FilesystemOperationRequest(path=_MEMORY, trim=trim)],
            True,
            [
                Failure(wire.FilesystemOperationRequest(path=missing, trim=trim), _MISSING, errno.ENOENT, missing),
                Failure(wire.FilesystemOperationRequest(path="x", trim=trim), _INVALID, errno.EINVAL, "x"),
                Failure(wire.FilesystemOperationRequest(path=here), _INVALID),
                Failure(
                    wire.FilesystemOperationRequest(path=here, freeze=wire.FiFreezeParams()),
                    _UNIMPLEMENTED, errno.EOPNOTSUPP, here,
                ),
                Failure(
                    wire.FilesystemOperationRequest(path="/", trim=trim, containerID="none"), _MISSING, errno.ENOENT
                ),
            ],
            "test_copy_calls",
        ),
        "FilesystemUsage": Row(
            [wire.FilesystemUsageRequest(path=here)],
            True,
            [
                Failure(wire.FilesystemUsageRequest(path=missing), _MISSING, errno.ENOENT, missing),
                Failure(wire.FilesystemUsageRequest(path="relative"), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_services",
        ),
        "Fstrim": Row(
            [wire.FstrimRequest(path=_MEMORY)],
            True,
            [
                Failure(wire.FstrimRequest(path=missing), _MISSING, errno.ENOENT, missing),
                Failure(wire.FstrimRequest(path="relative"), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_services",
        ),
        "Mkdir": Row(
            [wire.MkdirRequest(path=f"{here}/made/deep", all=True)],
            True,
            [
                Failure(wire.MkdirRequest(path=here), _EXISTS, errno.EEXIST, here),
                Failure(wire.MkdirRequest(path=f"{missing}/a"), _MISSING, errno.ENOENT, f"{missing}/a"),
                Failure(wire.MkdirRequest(path="relative", all=True), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_services",
        ),
        "Mount": Row(
            # Twice stacks, as mount(2) does.
            [wire.MountRequest(type="tmpfs", destination=f"{here}/mounted")],
            False,
            [
                Failure(
                    wire.MountRequest(type="nonsense", source="x", destination=f"{here}/n"),
                    _INTERNAL, errno.ENODEV, f"{here}/n",
                ),
                Failure(
                    wire.MountRequest(type="bind", source=missing, destination=f"{here}/n"),
                    _MISSING, errno.ENOENT, f"{here}/n",
                ),
                Failure(wire.MountRequest(type="tmpfs", destination="relative"), _INVALID, errno.EINVAL, "relative"),
                Failure(wire.MountRequest(type="tmpfs", destination="/proc"), _INVALID, errno.EBUSY, "/proc"),
            ],
            "test_services",
        ),
        "RemovePath": Row(
            [wire.RemovePathRequest(path=f"{here}/nothing", recursive=True, allow_missing=True)],
            True,
            [
                Failure(wire.RemovePathRequest(path=missing), _MISSING, errno.ENOENT, missing),
                Failure(wire.RemovePathRequest(path=f"{here}/full"), _INTERNAL, errno.ENOTEMPTY, f"{here}/full"),
                Failure(wire.RemovePathRequest(path="/", recursive=True), _INVALID, errno.EBUSY, "/"),
                Failure(wire.RemovePathRequest(path="relative"), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_services",
        ),
        "Stat": Row(
            [wire.StatRequest(path=here), wire.StatRequest(path="."), wire.StatRequest(path="/full", root=here)],
            True,
            [
                Failure(wire.StatRequest(path=missing), _MISSING, errno.ENOENT, missing),
                Failure(wire.StatRequest(path="/missing", root=here), _MISSING, errno.ENOENT, "/missing"),
                Failure(wire.StatRequest(path=f"{archive}/x"), _INTERNAL, errno.ENOTDIR, f"{archive}/x"),
            ],
            "test_sandbox_calls",
        ),
        "Umount": Row(
            [],
            False,
            [
                Failure(wire.UmountRequest(path=here), _INVALID, errno.EINVAL, here),
                Failure(wire.UmountRequest(path=missing), _MISSING, errno.ENOENT, missing),
                Failure(wire.UmountRequest(path="/proc"), _INVALID, errno.EBUSY, "/proc"),
            ],
            "test_services",
        ),
        "WriteFile": Row(
            [wire.WriteFileRequest(path=f"{here}/written", data=b"x", flags=create)],
            True,
            [
                Failure(wire.WriteFileRequest(path=missing, data=b"x"), _MISSING, errno.ENOENT, missing),
                Failure(wire.WriteFileRequest(path=here, flags=create), _INTERNAL, errno.EISDIR, here),
                Failure(wire.WriteFileRequest(path="relative", flags=create), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_services",
        ),
    }  # fmt: skip


def _process_rows(rootfs: Path) -> dict[str, Row]:
    them = {"id": CONTAINER, "containerID": CONTAINER}
    unknown = {"id": "none", "containerID": "none"}
    return {
        "CreateProcess": Row(
            [],
            False,
            [
                Failure(wire.CreateProcessRequest(id="a", configuration=b"{}"), _INVALID),
                Failure(wire.CreateProcessRequest(id="a", containerID="a", configuration=b"{"), _INVALID),
                Failure(
                    wire.CreateProcessRequest(id=CONTAINER, containerID=CONTAINER, configuration=_spec(rootfs)),
                    _EXISTS, errno.EEXIST,
                ),
                Failure(
                    wire.CreateProcessRequest(id="x", containerID="none", configuration=_spec(rootfs)),
                    _MISSING, errno.ENOENT,
                ),
                Failure(wire.CreateProcessRequest(id="..", containerID="..", configuration=_spec(rootfs)), _INVALID),
                Failure(
                    wire.CreateProcessRequest(id="a", containerID="a", configuration=_spec(rootfs), stdout=7),
                    _MISSING, errno.ENOENT, "host-7.sock",
                ),
            ],
            "test_streams",
        ),
        "StartProcess": Row(
            [],
            False,
            [
                Failure(wire.StartProcessRequest(**unknown), _MISSING, errno.ENOENT),
                Failure(wire.StartProcessRequest(id="a"), _INVALID),
                Failure(wire.StartProcessRequest(**them), StatusCode.FAILED_PRECONDITION, errno.EBUSY),
            ],
            "test_streams",
        ),
        "WaitProcess": Row(
            [],
            True,
            [
                Failure(wire.WaitProcessRequest(**unknown), _MISSING, errno.ENOENT),
                Failure(wire.WaitProcessRequest(id="none", containerID=CONTAINER), _MISSING, errno.ESRCH),
            ],
            "test_containers",
        ),
        "KillProcess": Row(
            [wire.KillProcessRequest(**them, signal=0)],
            True,
            [
                Failure(wire.KillProcessRequest(**unknown, signal=9), _MISSING, errno.ENOENT),
                Failure(wire.KillProcessRequest(**them, signal=99), _INVALID, errno.EINVAL),
                Failure(wire.KillProcessRequest(**them, signal=-1), _INVALID, errno.EINVAL),
            ],
            "test_containers",
        ),
        "ResizeProcess": Row(
            [],
            True,
            [
                Failure(wire.ResizeProcessRequest(**unknown, rows=1, columns=1), _MISSING, errno.ENOENT),
                Failure(wire.ResizeProcessRequest(**them, rows=2**16, columns=1), _INVALID),
                Failure(
                    wire.ResizeProcessRequest(**them, rows=1, columns=1), StatusCode.FAILED_PRECONDITION, errno.ENOTTY
                ),
            ],
            "test_terminal_calls",
        ),
        "CloseProcessStdin": Row(
            [wire.CloseProcessStdinRequest(**them)],
            True,
            [Failure(wire.CloseProcessStdinRequest(**unknown), _MISSING, errno.ENOENT)],
            "test_streams",
        ),
        "DeleteProcess": Row(
            [wire.DeleteProcessRequest(**unknown), wire.DeleteProcessRequest(id="none", containerID=CONTAINER)],
            True,
            [
                Failure(wire.DeleteProcessRequest(id="a"), _INVALID),
                Failure(wire.DeleteProcessRequest(id="a/b", containerID=CONTAINER), _INVALID),
            ],
            "test_containers",
        ),
        "ContainerStatistics": Row(
            [wire.ContainerStatisticsRequest(), wire.ContainerStatisticsRequest(container_ids=["none", ".."])],
            True,
            [],
            "test_cgroup_statistics",
        ),
    }  # fmt: skip


def _spec(rootfs: Path) -> bytes:
    from .agent_process import runtime_spec

    return runtime_spec(rootfs, "true")


def _sandbox_rows(scratch: Path) -> dict[str, Row]:
    socket = str(scratch / "proxy.sock")
    into = wire.ProxyVsockRequest.INTO
    own, host = "net.ipv4.ip_default_ttl", "vm.swappiness"
    emulator = {"name": "x", "type": "M", "magic": "x", "binary_path": "/x"}
    return {
        "Getenv": Row([wire.GetenvRequest(key="NONE"), wire.GetenvRequest()], True, [], "test_sandbox_calls"),
        "Setenv": Row(
            [wire.SetenvRequest(key="A", value="b"), wire.SetenvRequest(key="A")],
            True,
            [Failure(wire.SetenvRequest(key=""), _INVALID), Failure(wire.SetenvRequest(key="A=B"), _INVALID)],
            "test_sandbox_calls",
        ),
        "Sysctl": Row(
            [wire.SysctlRequest(), wire.SysctlRequest(settings={own: "63"})],
            True,
            [
                Failure(wire.SysctlRequest(settings={host: "1"}), _DENIED, errno.EPERM, "/proc/sys/vm/swappiness"),
                Failure(
                    wire.SysctlRequest(settings={own: "nonsense"}),
                    _INVALID, errno.EINVAL, "/proc/sys/net/ipv4/ip_default_ttl",
                ),
                Failure(
                    wire.SysctlRequest(settings={"net.ipv4.none": "1"}),
                    _MISSING, errno.ENOENT, "/proc/sys/net/ipv4/none",
                ),
                Failure(wire.SysctlRequest(settings={"net.ipv4/../x": "1"}), _INVALID),
            ],
            "test_sandbox_calls",
        ),
        "SetTime": Row(
            [],
            True,
            [Failure(wire.SetTimeRequest(sec=1), _DENIED, errno.EPERM), Failure(wire.SetTimeRequest(sec=-1), _INVALID)],
            "test_sandbox_calls",
        ),
        "SetupEmulator": Row(
            [],
            True,
            [
                Failure(wire.SetupEmulatorRequest(**emulator), _UNIMPLEMENTED, errno.EOPNOTSUPP),
                Failure(wire.SetupEmulatorRequest(**emulator | {"name": "a/b"}), _INVALID),
            ],
            "test_sandbox_calls",
        ),
        "Kill": Row(
            [wire.KillRequest(pid=-1, signal=0)],
            True,
            [
                Failure(wire.KillRequest(pid=1, signal=9), _DENIED, errno.EPERM),
                Failure(wire.KillRequest(pid=4194000, signal=9), _MISSING, errno.ESRCH),
                Failure(wire.KillRequest(pid=-1, signal=99), _INVALID),
            ],
            "test_sandbox_calls",
        ),
        "Sync": Row([wire.SyncRequest()], True, [], "test_services"),
        "ProxyVsock": Row(
            [wire.ProxyVsockRequest(id="p", vsock_port=9, guestPath=socket, action=into)],
            False,
            [
                Failure(
                    wire.ProxyVsockRequest(id="p", vsock_port=9, guestPath=socket, action=into),
                    _EXISTS, errno.EEXIST, socket,
                ),
                Failure(wire.ProxyVsockRequest(id="", vsock_port=9, guestPath=socket, action=into), _INVALID),
                Failure(
                    wire.ProxyVsockRequest(id="q", vsock_port=9, guestPath="x", action=into),
                    _INVALID, errno.EINVAL, "x",
                ),
            ],
            "test_proxies",
        ),
        "StopVsockProxy": Row([wire.StopVsockProxyRequest(id="none")], True, [], "test_proxies"),
    }  # fmt: skip


def _network_rows(scratch: Path) -> dict[str, Row]:
    here = str(scratch)
    return {
        "IpLinkSet": Row(
            [wire.IpLinkSetRequest(interface="lo", up=True)],
            True,
            [Failure(wire.IpLinkSetRequest(interface="none", up=True), _INTERNAL, errno.ENODEV, "none")],
            "test_network_calls",
        ),
        "IpAddrAdd": Row(
            [wire.IpAddrAddRequest(interface="lo", ipv4Address="10.7.0.1/24")],
            True,
            [
                Failure(
                    wire.IpAddrAddRequest(interface="none", ipv4Address="10.7.0.1/24"), _INTERNAL, errno.ENODEV, "none"
                ),
                Failure(wire.IpAddrAddRequest(interface="lo", ipv4Address="nonsense"), _INVALID),
                Failure(wire.IpAddrAddRequest(interface="lo"), _INVALID),
            ],
            "test_network_calls",
        ),
        "IpRouteAddLink": Row(
            [wire.IpRouteAddLinkRequest(interface="lo", dstIpv4Addr="10.8.0.0/24")],
            True,
            [
                Failure(
                    wire.IpRouteAddLinkRequest(interface="none", dstIpv4Addr="10.8.0.0/24"),
                    _INTERNAL, errno.ENODEV, "none",
                ),
                Failure(wire.IpRouteAddLinkRequest(interface="lo"), _INVALID),
            ],
            "test_network_calls",
        ),
        "IpRouteAddDefault": Row(
            [wire.IpRouteAddDefaultRequest(interface="lo")],
            True,
            [
                Failure(wire.IpRouteAddDefaultRequest(interface="none"), _INTERNAL, errno.ENODEV, "none"),
                Failure(wire.IpRouteAddDefaultRequest(interface="lo", ipv4Gateway="nonsense"), _INVALID),
            ],
            "test_network_calls",
        ),
        "ConfigureDns": Row(
            [
                wire.ConfigureDnsRequest(location=here),
                wire.ConfigureDnsRequest(location=here, nameservers=["10.0.0.1"]),
            ],
            True,
            [
                Failure(wire.ConfigureDnsRequest(location=here, nameservers=["nonsense"]), _INVALID),
                Failure(wire.ConfigureDnsRequest(location="relative"), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_network_calls",
        ),
        "ConfigureHosts": Row(
            [wire.ConfigureHostsRequest(location=here)],
            True,
            [
                Failure(
                    wire.ConfigureHostsRequest(
                        location=here, entries=[wire.ConfigureHostsRequest.HostsEntry(ipAddress="x", hostnames=["a"])]
                    ),
                    _INVALID,
                ),
                Failure(wire.ConfigureHostsRequest(location="relative"), _INVALID, errno.EINVAL, "relative"),
            ],
            "test_network_calls",
        ),
    }  # fmt: skip
