"""Stat, Copy and FilesystemOperation of SandboxContext, as other hosts call them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import os
import shutil
import socket
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.adapters.agent_grpc.sandbox_context.told_metadata import told
from firkin.domain.context_additions import LEFT_OUT_KEY
from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, RunningAgent, detail_of, running_agent, runtime_spec

pytestmark = pytest.mark.real_time


@contextlib.asynccontextmanager
async def running_container(rootfs: Path) -> AsyncIterator[RunningAgent]:
    async with running_agent() as agent:
        await agent.v1.StartContainer(
            wire.StartContainerRequest(container_id="c", runtime_spec=runtime_spec(rootfs, "sleep", "100"))
        )
        yield agent


class Port:
    """A port of the host on which one connection is taken."""

    def __init__(self, agent: RunningAgent, number: int) -> None:
        self.number = number
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(agent.sockets / f"host-{number}.sock"))
        self._listener.listen(1)

    def _connection(self) -> socket.socket:
        with self._listener:
            self._listener.settimeout(CALL_SECONDS)
            return self._listener.accept()[0]

    def send(self, data: bytes) -> None:
        with self._connection() as peer, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(data)

    def receive(self) -> bytes:
        with self._connection() as peer, peer.makefile("rb") as stream:
            return stream.read()


def compressed(*members: tarfile.TarInfo) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in members:
            member.size = 4 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"data") if member.isreg() else None)
    return gzip.compress(archive.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE, link_name: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link_name, 0o755
    return info


async def copied_in(agent: RunningAgent, rootfs: Path, path: str, archive: bytes) -> list[context.CopyResponse]:
    port = Port(agent, 5000 + len(list(agent.sockets.glob("host-5*"))))
    request = context.CopyRequest(
        direction=context.CopyRequest.COPY_IN, root=str(rootfs), path=path, is_archive=True, vsock_port=port.number
    )
    sending = asyncio.get_running_loop().run_in_executor(None, port.send, archive)
    try:
        return [response async for response in agent.context.Copy(request)]
    finally:
        await sending


async def test_stat_sees_what_the_container_sees(rootfs: Path) -> None:
    (rootfs / "file").write_bytes(b"12345")
    (rootfs / "directory").mkdir()
    os.symlink("/file", rootfs / "link")
    os.symlink("/../../outside", rootfs / "outside")
    os.mkfifo(rootfs / "pipe")
    async with running_container(rootfs) as agent:

        async def status(path: str) -> context.Stat:
            return (await agent.context.Stat(context.StatRequest(root=str(rootfs), path=path))).stat

        assert (stat.S_ISREG((await status("/file")).mode), (await status("file")).size) == (True, 5)
        assert stat.S_ISDIR((await status("/directory")).mode)
        assert (await status("/link")).size == 5
        assert stat.S_ISFIFO((await status("/pipe")).mode)
        assert stat.S_ISDIR((await status("/")).mode)
        # /dev is the container's own, which the rootfs does not show.
        assert stat.S_ISCHR((await status("/dev/null")).mode)
        for missing in ("/missing", "/outside", "/file/below"):
            with pytest.raises(AioRpcError) as failure:
                await status(missing)
            assert detail_of(failure.value).errno


async def test_an_archive_is_written_whole_or_the_call_fails(rootfs: Path) -> None:
    (rootfs / "target").mkdir()
    os.symlink("/etc", rootfs / "target" / "planted")
    async with running_container(rootfs) as agent:
        fine = compressed(member("./", tarfile.DIRTYPE), member("a/b"), member("a/c", tarfile.SYMTYPE, "/etc/passwd"))
        (last,) = await copied_in(agent, rootfs, "/target", fine)
        assert (last.status, last.total_size) == (context.CopyResponse.COMPLETE, len(fine))
        hostile = [
            compressed(member("../outside")),
            compressed(member("planted/outside")),
            compressed(member("device", tarfile.CHRTYPE)),
            fine[:-20],
            b"no gzip at all",
            gzip.compress(b"no tar at all" * 100),
            b"",
        ]
        for archive in hostile:
            with pytest.raises(AioRpcError) as failure:
                await copied_in(agent, rootfs, "/target", archive)
            assert detail_of(failure.value).code == "copy-failed"
    assert (rootfs / "target" / "a" / "b").read_bytes() == b"data"
    assert not (rootfs / "outside").exists()
    assert not (rootfs / "etc" / "outside").exists()


async def test_files_come_out_plain_and_directories_as_archives(rootfs: Path) -> None:
    (rootfs / "tree").mkdir()
    (rootfs / "tree" / "file").write_bytes(b"deep")
    async with running_container(rootfs) as agent:

        async def copied_out(path: str) -> tuple[list[context.CopyResponse], bytes]:
            port = Port(agent, 6000 + len(path))
            request = context.CopyRequest(
                direction=context.CopyRequest.COPY_OUT, root=str(rootfs), path=path, vsock_port=port.number
            )
            receiving = asyncio.get_running_loop().run_in_executor(None, port.receive)
            responses = [response async for response in agent.context.Copy(request)]
            return responses, await receiving

        (first, last), data = await copied_out("/tree/file")
        assert (first.status, first.is_archive, first.total_size) == (context.CopyResponse.METADATA, False, 4)
        assert (last.status, last.total_size, data) == (context.CopyResponse.COMPLETE, 4, b"deep")
        (first, last), data = await copied_out("/proc/1/mounts")
        assert b"/dev" in data
        (first, last), data = await copied_out("/tree")
        assert (first.is_archive, last.total_size) == (True, len(data))
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
            assert tar.getnames() == [".", "file"]
        missing = context.CopyRequest(direction=context.CopyRequest.COPY_OUT, root=str(rootfs), path="/none")
        with pytest.raises(AioRpcError) as failure:
            await agent.context.Copy(missing).read()
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND
        assert detail_of(failure.value).path == "/none"


@contextlib.contextmanager
def socket_below(top: Path, name: str, depth: int, count: int = 1) -> Iterator[None]:
    """Sockets in so many directories of one name, whose paths may be longer than the system's calls take."""
    with contextlib.ExitStack() as opened:
        directory = os.open(top, os.O_RDONLY)
        opened.callback(os.close, directory)
        for _ in range(depth):
            os.mkdir(name, dir_fd=directory)
            directory = os.open(name, os.O_RDONLY, dir_fd=directory)
            opened.callback(os.close, directory)
        for number in range(count):
            os.mknod(f"socket{number}", stat.S_IFSOCK | 0o600, dir_fd=directory)
    try:
        yield
    finally:
        shutil.rmtree(top / name)


@pytest.mark.parametrize(
    ("name", "depth"),
    [("d", 2), ("\N{GRINNING FACE}" * 60, 80), ("\1" * 240, 20)],
    ids=["short", "wide", "escaped"],
)
async def test_a_copy_arrives_however_long_the_names_are_of_what_it_leaves_out(
    rootfs: Path, name: str, depth: int
) -> None:
    with socket_below(rootfs, name, depth):
        async with running_container(rootfs) as agent:
            port = Port(agent, 6000)
            request = context.CopyRequest(
                direction=context.CopyRequest.COPY_OUT, root=str(rootfs), path=f"/{name}", vsock_port=port.number
            )
            receiving = asyncio.get_running_loop().run_in_executor(None, port.receive)
            call = agent.context.Copy(request)
            responses = [response async for response in call]
            assert responses[-1].total_size == len(await receiving) > 0
            sentences = told(await call.trailing_metadata(), LEFT_OUT_KEY, list[str])
    assert sentences is not None
    assert len(sentences) == 1
    assert sentences[0].startswith(f"{name}/"[:100])


async def test_a_copy_arrives_also_over_the_other_service_with_however_long_names(rootfs: Path) -> None:
    with socket_below(rootfs, "d" * 240, 200, count=100):
        async with running_container(rootfs) as agent:
            stream = await agent.listen()
            receiving = asyncio.ensure_future(stream.read())
            request = wire.CopyOutRequest(
                container_id="c", root=str(rootfs), source=f"/{'d' * 240}", stream=stream.message
            )
            responses = [response async for response in agent.v1.CopyOut(request)]
            assert responses[-1].count.archive_bytes == len(await receiving) > 0
    assert len(responses[-1].left_out) == 100


async def test_filesystems_are_trimmed_but_never_frozen_under_a_shared_kernel(rootfs: Path) -> None:
    async with running_container(rootfs) as agent:
        trim = context.FiTrimParams(one_shot=context.FiTrimParams.OneShot())
        for path in ("/", "/dev"):
            request = context.FilesystemOperationRequest(path=path, containerID="c", trim=trim)
            assert (await agent.context.FilesystemOperation(request)).trim.trimmed_bytes == 0
        for request, code in (
            (context.FilesystemOperationRequest(path="/", containerID="c", freeze=context.FiFreezeParams()), 12),
            (context.FilesystemOperationRequest(path="/", thaw=context.FiThawParams()), 12),
            (context.FilesystemOperationRequest(path="relative", trim=trim), 3),
            (context.FilesystemOperationRequest(path="/"), 3),
            (context.FilesystemOperationRequest(path="/none", containerID="c", trim=trim), 5),
            (context.FilesystemOperationRequest(path="/", containerID="other", trim=trim), 5),
        ):
            with pytest.raises(AioRpcError) as failure:
                await agent.context.FilesystemOperation(request)
            assert failure.value.code() is next(one for one in grpc.StatusCode if one.value[0] == code)
