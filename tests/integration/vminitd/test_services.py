"""The rest of both services: files, pods, errors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.wire import agent_pb2 as wire
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import CALL_SECONDS, START_SECONDS, detail_of, running_agent, runtime_spec

pytestmark = pytest.mark.real_time


async def test_the_agent_says_who_it_is() -> None:
    began = time.monotonic()
    async with running_agent() as agent:
        info = await agent.v1.GetInfo(wire.GetInfoRequest())
        seconds = time.monotonic() - began
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert info.version == project["version"]
    assert info.runtime.startswith("crun ")
    assert info.features
    # The kernel tells when a process began in hundredths of a second.
    assert 0 < info.boot_usec < (seconds + 0.02) * 1_000_000


async def test_bytes_that_are_no_message_are_an_invalid_argument_of_every_call() -> None:
    services = (wire.DESCRIPTOR.services_by_name["Agent"], context.DESCRIPTOR.services_by_name["SandboxContext"])
    async with running_agent() as agent:
        for method in (method for service in services for method in service.methods):
            name = f"/{method.containing_service.full_name}/{method.name}"
            call = agent.channel.stream_stream(name, _same, _same)(iter([b"\xff\xff\xff"]), timeout=CALL_SECONDS)
            with pytest.raises(AioRpcError) as refused:
                async for _ in call:
                    pass
            detail = detail_of(refused.value)
            told = (refused.value.code(), detail.code, detail.errno)
            assert told == (grpc.StatusCode.INVALID_ARGUMENT, "invalid-argument", errno.EINVAL), name
            assert "not a message" in detail.reason
        await agent.v1.GetInfo(wire.GetInfoRequest(), timeout=CALL_SECONDS)


def _same(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("character", ["a", "ä", "€", "%"])
async def test_an_error_about_the_longest_path_arrives_however_it_is_written(character: str) -> None:
    path = "/" + character * 4000
    async with running_agent() as agent:
        for _ in range(20):
            with pytest.raises(AioRpcError) as refused:
                await agent.context.Umount(context.UmountRequest(path=path), timeout=CALL_SECONDS)
            detail = detail_of(refused.value)
            assert (detail.errno, detail.operation, detail.path[:100]) == (errno.ENAMETOOLONG, "unmount", path[:100])


async def test_a_pod_is_prepared_used_and_torn_down(rootfs: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    async with running_agent("--store-directory", str(tmp_path / "store")) as agent:
        store = wire.Mount(
            type="bind", source="/run/firkin/store-medium", destination="/run/firkin/pod-store", options=["rbind", "rw"]
        )
        volumes = [
            wire.Volume(name="disk", medium=wire.MEDIUM_DISK),
            wire.Volume(name="memory", medium=wire.MEDIUM_MEMORY, size_limit_bytes=1 << 20),
        ]
        await agent.v1.PreparePod(wire.PreparePodRequest(pod_id="pod", store=store, volumes=volumes))
        pod = "/run/firkin/pod-store/pods/pod"
        overlay = wire.Overlay(base=f"{pod}/containers/one", lower=str(rootfs))
        spec = runtime_spec(Path(overlay.base) / "merged", "sh", "-c", "echo new > /made; cat /made")
        stdout = await agent.listen()
        await agent.v1.StartContainer(
            wire.StartContainerRequest(
                container_id="one", runtime_spec=spec, overlay=overlay, stdio=wire.Stdio(stdout=stdout.message)
            )
        )
        end = await agent.wait("one")
        out = await stdout.read()
        removed = await agent.v1.RemoveContainer(
            wire.RemoveContainerRequest(container_id="one", overlay_base=overlay.base)
        )

        async def messages() -> AsyncIterator[wire.WriteFileRequest]:
            header = wire.WriteFileHeader(directory=f"{pod}/emptydir/disk", relative_path="a/b", mode=0o640)
            yield wire.WriteFileRequest(header=header, data=b"first ")
            yield wire.WriteFileRequest(data=b"second")

        await agent.v1.WriteFile(messages())
        written = (tmp_path / "store/pods/pod/emptydir/disk/a/b").read_bytes()
        request = wire.TearDownPodRequest(pod_id="pod", store_path="/run/firkin/pod-store", volumes=["disk", "memory"])
        problems = [list((await agent.v1.TearDownPod(request)).problems) for _ in range(2)]
    assert (end.code, out, list(removed.problems)) == (0, b"new\n", [])
    assert written == b"first second"
    assert problems == [[], []]
    assert not (rootfs / "made").exists()
    assert list((tmp_path / "store/pods").iterdir()) == []


async def test_files_of_the_first_contract_are_truncated_and_keep_their_mode(tmp_path: Path) -> None:
    path = str(tmp_path / "new/file")
    flags = context.WriteFileRequest.WriteFileFlags(create_parent_dirs=True, create_if_missing=True)
    async with running_agent() as agent:
        for data in (b"a long text", b"short"):
            await agent.context.WriteFile(context.WriteFileRequest(path=path, data=data, mode=0o600, flags=flags))
        answer = await agent.context.Stat(context.StatRequest(path="/file", root=str(tmp_path / "new")))
        with pytest.raises(AioRpcError) as missing:
            await agent.context.Stat(context.StatRequest(path=f"{path}.missing"))
        await agent.context.RemovePath(context.RemovePathRequest(path=str(tmp_path / "new"), recursive=True))
    assert (answer.stat.size, stat.S_IMODE(answer.stat.mode)) == (5, 0o600)
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert detail_of(missing.value).errno == errno.ENOENT
    assert not (tmp_path / "new").exists()


async def test_a_named_pipe_is_neither_waited_for_nor_written(tmp_path: Path) -> None:
    pipe, rootfs = str(tmp_path / "pipe"), str(tmp_path / "rootfs")
    os.mkfifo(pipe)
    os.mkdir(rootfs)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    async with running_agent() as agent:
        with pytest.raises(AioRpcError) as written:
            await agent.context.WriteFile(context.WriteFileRequest(path=pipe, data=b"x"), timeout=CALL_SECONDS)
        os.close(reading)
        with pytest.raises(AioRpcError) as unread:
            await agent.context.WriteFile(context.WriteFileRequest(path=pipe, data=b"x"), timeout=CALL_SECONDS)
        request = context.ApplyOciLayerRequest(archive_path=pipe, destination=rootfs)
        with pytest.raises(AioRpcError) as applied:
            await agent.context.ApplyOciLayer(request, timeout=CALL_SECONDS)
    assert (detail_of(written.value).code, detail_of(applied.value).code) == ("path-refused", "path-refused")
    assert detail_of(unread.value).errno == errno.ENXIO


async def test_the_agent_is_at_the_root_of_its_sandbox() -> None:
    async with running_agent() as agent:
        here = await agent.context.Stat(context.StatRequest(path="."), timeout=CALL_SECONDS)
        root = await agent.context.Stat(context.StatRequest(path="/"), timeout=CALL_SECONDS)
    assert (here.stat.dev, here.stat.ino) == (root.stat.dev, root.stat.ino)


async def test_a_file_is_copied_in_below_its_root(tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    (tmp_path / "etc").symlink_to("/inside")
    (tmp_path / "inside").mkdir()
    async with running_agent() as agent:
        stream = await agent.listen(token=False)
        request = context.CopyRequest(
            direction=context.CopyRequest.COPY_IN,
            path="/etc/copied",
            mode=0o755,
            vsock_port=stream.message.port,
            root=str(tmp_path),
        )
        call = agent.context.Copy(request)
        _, writer = await stream.ends()
        writer.write(data)
        writer.write_eof()
        answers = [answer.status async for answer in call]
    assert answers == [context.CopyResponse.COMPLETE]
    assert (tmp_path / "inside/copied").read_bytes() == data


async def test_mounts_links_and_variables_of_the_sandbox(tmp_path: Path) -> None:
    async with running_agent() as agent:
        point = str(tmp_path / "point")
        await agent.context.Mkdir(context.MkdirRequest(path=point, all=True, perms=0o711))
        await agent.context.Mount(context.MountRequest(type="tmpfs", source="tmpfs", destination=point))
        usage = await agent.context.FilesystemUsage(context.FilesystemUsageRequest(path=point))
        await agent.context.Umount(context.UmountRequest(path=point))
        with pytest.raises(AioRpcError) as failure:
            await agent.context.Umount(context.UmountRequest(path=point))
        for _ in range(2):
            await agent.context.IpLinkSet(context.IpLinkSetRequest(interface="lo", up=True))
        await agent.context.Setenv(context.SetenvRequest(key="FIRKIN_TEST", value="yes"))
        value = (await agent.context.Getenv(context.GetenvRequest(key="FIRKIN_TEST"))).value
        unset = (await agent.context.Getenv(context.GetenvRequest(key="FIRKIN_UNSET"))).HasField("value")
        await agent.context.Sync(context.SyncRequest())
        trimmed = await agent.context.Fstrim(context.FstrimRequest(path="/run"))
    assert usage.total_blocks > 0
    assert detail_of(failure.value).errno == errno.EINVAL
    assert (value, unset, trimmed.trimmed_bytes) == ("yes", False, 0)


async def test_a_port_that_nobody_listens_on_is_named(rootfs: Path) -> None:
    async with running_agent() as agent:
        stdio = wire.Stdio(stdout=wire.BulkStream(port=9, token=b"t" * 16))
        with pytest.raises(AioRpcError) as failure:
            await agent.v1.StartContainer(
                wire.StartContainerRequest(container_id="one", runtime_spec=runtime_spec(rootfs, "true"), stdio=stdio)
            )
        end, _, _ = await agent.output("one", runtime_spec(rootfs, "true"))
    detail = detail_of(failure.value)
    assert (detail.code, detail.errno, Path(detail.path).name) == ("agent", errno.ENOENT, "host-9.sock")
    assert end.code == 0


async def test_a_failed_template_tells_why_and_its_key_stays_free(tmp_path: Path) -> None:
    (tmp_path / "store/templates").mkdir(parents=True)
    digest = "sha256:" + "0" * 64
    async with running_agent() as agent:
        for _ in range(2):
            stream = await agent.listen()
            layer = wire.TemplateLayer(
                digest=digest,
                diff_id=digest,
                media_type="application/vnd.oci.image.layer.v1.tar",
                size_bytes=4,
                stream=stream.message,
            )
            call = agent.v1.EnsureTemplate(
                wire.EnsureTemplateRequest(store_path=str(tmp_path / "store"), chain_id=digest, layers=[layer])
            )
            _, writer = await stream.ends()
            writer.write(bytes(10240))
            writer.write_eof()
            with pytest.raises(AioRpcError) as failure:
                async for _answer in call:
                    pass
            assert detail_of(failure.value).code in ("blob-corrupt", "diff-id-mismatch")
        stream = await agent.listen()
        layer.stream.CopyFrom(stream.message)
        call = agent.v1.EnsureTemplate(
            wire.EnsureTemplateRequest(store_path=str(tmp_path / "store"), chain_id=digest, layers=[layer])
        )
        reader, writer = await stream.ends()
        writer.write(b"never the whole")
        call.cancel()
        # Reset, when the agent had not read all of it.
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), CALL_SECONDS) == b""
    assert list((tmp_path / "store/templates").iterdir()) == []


def test_without_init_the_agent_listens_privately_and_ends_on_sigterm(tmp_path: Path) -> None:
    path = tmp_path / "guest.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    command = [sys.executable, "-m", "firkin.vminitd", "--listen", f"unix:{path}", "--host-dir", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        with grpc.insecure_channel(f"unix:{path}", (("grpc.initial_reconnect_backoff_ms", 20),)) as channel:
            grpc.channel_ready_future(channel).result(START_SECONDS)
            mode = path.stat().st_mode
            second = subprocess.run(command, capture_output=True, check=False, timeout=START_SECONDS)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=START_SECONDS)
    assert stat.S_IMODE(mode) == 0o600
    assert (second.returncode, b"another agent listens" in second.stderr) == (1, True)
    assert (process.returncode, errors) == (0, b"")
    assert not path.exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--listen", "tcp:1", "--host-dir", "/"], ["--listen", "unix:relative", "--host-dir", "/"]]
)
def test_a_wrong_command_line_ends_with_a_sentence(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firkin.vminitd", *arguments], capture_output=True, check=False, timeout=20
    )
    assert done.returncode == 2
    assert b"--listen" in done.stderr
