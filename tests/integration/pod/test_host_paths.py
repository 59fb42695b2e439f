"""Paths of the host in real containers: what is allowed, and nothing beside it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from firkin.domain.host_paths import HostPathKind, HostPathVolume
from firkin.errors import HostPathRefused
from tests.machine_state import MachineState, settled_state

from .pods import dialler, shell

pytestmark = pytest.mark.real_time


@contextlib.asynccontextmanager
async def allowing(directory: Path, *paths: Path) -> AsyncIterator[firkin.Runtime]:
    config = firkin.RuntimeConfig(
        store="directory",
        state_dir=directory / "state",
        runtime_dir=directory / "run",
        agents=dialler(),
        allow_host_paths=paths,
    )
    async with firkin.open_runtime(config) as runtime:
        yield runtime


async def test_a_container_reads_and_writes_a_directory_of_the_host(tmp_path: Path, busybox_image: str) -> None:
    before = await settled_state()
    site = tmp_path / "site"
    (site / "html").mkdir(parents=True)
    (site / "html/index").write_text("hello")
    async with allowing(tmp_path, site) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        script = "cat /html/index; echo made > /html/made; echo x > /read/x; ls /part"
        container = (
            shell("main", bundle, script)
            .host_path_mount("html", "/html")
            .host_path_mount("html", "/read", read_only=True)
            .host_path_mount("all", "/part", sub_path="html")
        )
        spec = (
            firkin.PodBuilder("pod-1")
            .host_path(HostPathVolume("html", str(site / "html"), HostPathKind.DIRECTORY))
            .host_path(HostPathVolume("all", str(site)))
            .container(container)
        )
        async with runtime.spawn(spec.build()) as pod:
            output = await pod.wait_container("main")
            assert output.stdout == b"helloindex\nmade\n"
            assert b"/read/x: Read-only file system" in output.stderr
    assert (site / "html/made").read_text() == "made\n"
    assert MachineState.now().beyond(before) == {}


async def test_files_and_sockets_are_shown_and_what_is_missing_is_made_when_asked_for(
    tmp_path: Path, busybox_image: str
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "file").write_text("content")
    volumes = (
        HostPathVolume("file", f"{base}/file"),
        HostPathVolume("new-file", f"{base}/new-file", HostPathKind.FILE_OR_CREATE),
        HostPathVolume("new", f"{base}/new/deep", HostPathKind.DIRECTORY_OR_CREATE),
        HostPathVolume("socket", f"{base}/socket", HostPathKind.SOCKET),
    )
    async with allowing(tmp_path, base) as runtime:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{base}/socket")
            listener.listen()
            bundle = await runtime.images.resolve(busybox_image)
            script = "cat /file; echo x > /new-file; echo y > /new/file; stat -c %F /socket; echo z > /read-only"
            container = shell("main", bundle, script).host_path_mount("file", "/read-only", read_only=True)
            builder = firkin.PodBuilder("pod-1")
            for volume in volumes:
                builder = builder.host_path(volume)
                container = container.host_path_mount(volume.name, f"/{volume.name}")
            async with runtime.spawn(builder.container(container).build()) as pod:
                output = await pod.wait_container("main")
                assert output.stdout == b"contentsocket\n"
                assert b"Read-only file system" in output.stderr
    assert ((base / "new-file").read_text(), (base / "new/deep/file").read_text()) == ("x\n", "y\n")
    assert [path.stat().st_mode & 0o777 for path in (base / "new", base / "new-file")] == [0o755, 0o644]


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("/etc", "", "--allow-host-path /etc"),
        ("BASE-beside", "", "not allowed"),
        ("BASE/out", "", "out of what is allowed"),
        ("BASE/out/passwd", "File", "out of what is allowed"),
        ("BASE/missing", "", "nothing is there"),
        ("BASE/missing", "Directory", "nothing is there, and it has to be a directory"),
        ("BASE/file", "Directory", "it is not a directory"),
        ("BASE/file", "DirectoryOrCreate", "it is not a directory"),
        ("BASE", "File", "it is not a file"),
        ("BASE/file", "Socket", "it is not a socket"),
        ("BASE/null", "", "it is not a file, a directory or a socket"),
    ],
)
async def test_a_path_that_is_not_allowed_or_not_what_it_should_be_is_refused_before_anything_boots(
    tmp_path: Path, busybox_image: str, path: str, kind: str, reason: str
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (tmp_path / "base-beside").mkdir()
    (base / "file").write_text("")
    (base / "out").symlink_to("/etc")
    (base / "null").symlink_to("/dev/null")
    async with allowing(tmp_path, base, Path("/dev/null")) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        volume = HostPathVolume("v", path.replace("BASE", str(base)).replace(f"{base}/null", "/dev/null"), kind)
        container = shell("main", bundle, "true").host_path_mount("v", "/v")
        spec = firkin.PodBuilder("pod-1").host_path(volume).container(container).build()
        with pytest.raises(HostPathRefused, match=reason) as refused:
            await runtime.spawn(spec)
        assert refused.value.path == volume.host_path
    assert sorted(path.name for path in base.iterdir()) == ["file", "null", "out"]
