"""What users of containers take for granted: small things, each seen in a real container of one pod."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

import firkin
from firkin.domain.image import ImageBundle

from .pods import HANG_SECONDS, real_runtime, shell

pytestmark = pytest.mark.real_time


async def _outputs(directory: Path, image: str, *containers: firkin.PodContainerSpec) -> dict[str, str]:
    """Run the containers in one pod, on the image; everything that each wrote, by its id."""
    async with real_runtime(directory) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(image)
        builder = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("data"))
        for container in containers:
            builder = builder.container(_on(bundle, container))
        async with runtime.spawn(builder.build()) as pod:
            outputs = {container.id: await pod.wait_container(container.id) for container in containers}
    return {name: (output.stdout + output.stderr).decode() for name, output in outputs.items()}


def _on(bundle: ImageBundle, spec: firkin.PodContainerSpec) -> firkin.PodContainerSpec:
    return replace(spec, rootfs=firkin.RootfsSource.oci_bundle(bundle))


def _shell(container_id: str, script: str) -> firkin.PodContainerSpec:
    spec = firkin.PodContainerSpec(container_id, firkin.RootfsSource.guest_path("/replaced"))
    return spec.command("sh", "-c", script).stdout(firkin.Stdio.PIPED).stderr(firkin.Stdio.PIPED)


@pytest.mark.needs_ids
async def test_privileges_are_few_unless_asked_for(tmp_path: Path, busybox_image: str) -> None:
    status = "grep -E '^(NoNewPrivs|CapEff)' /proc/self/status | tr -d '\\n\\t '"
    mount = "mount -t tmpfs none /tmp 2>/dev/null; echo $?"
    own = "touch /f; chown 5 /f 2>/dev/null; echo $?"
    outputs = await _outputs(
        tmp_path,
        busybox_image,
        _shell("default", status),
        _shell("raised", status).new_privileges(),
        _shell("mount", mount),
        _shell("mount-admin", mount).capabilities(add=["SYS_ADMIN"]),
        _shell("owner", own),
        _shell("no-owner", own).capabilities(drop=["CHOWN"]),
        _shell("network", "ip link set lo mtu 60000 2>/dev/null; echo $?"),
    )
    assert "NoNewPrivs:1" in outputs["default"]
    assert "NoNewPrivs:0" in outputs["raised"]
    assert outputs["mount"] != "0\n"
    assert (outputs["mount-admin"], outputs["owner"], outputs["no-owner"]) == ("0\n", "0\n", "1\n")
    assert outputs["network"] != "0\n"


async def test_kernel_paths_are_masked_or_read_only(tmp_path: Path, busybox_image: str) -> None:
    script = "echo 1 > /proc/sys/kernel/shmmax; cat /proc/kcore | wc -c; ls /sys/firmware | wc -l"
    output = (await _outputs(tmp_path, busybox_image, _shell("one", script)))["one"]
    assert "Read-only file system" in output
    assert output.startswith("0\n0\n")


async def test_working_directory_home_and_path_are_as_expected(tmp_path: Path, busybox_image: str) -> None:
    outputs = await _outputs(
        tmp_path,
        busybox_image,
        _shell("made", "pwd; ls -d /new/work").working_dir("/new/work"),
        _shell("home", "echo $HOME"),
        _shell("own-home", "echo $HOME").env("HOME", "/elsewhere"),
    )
    assert outputs["made"] == "/new/work\n/new/work\n"
    assert outputs["home"].startswith("/")
    assert outputs["own-home"] == "/elsewhere\n"


async def test_an_exec_has_its_own_path_directory_and_privileges(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, asyncio.timeout(HANG_SECONDS):
        bundle = await runtime.images.resolve(busybox_image)
        script = "mkdir /other; cp /bin/busybox /other/true-name; ln -s true-name /other/echo; exec sleep 3600"
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(shell("one", bundle, script)).build()) as pod:
            container = pod.container("one")
            async with await container.exec("sh", "-c", "until [ -e /other/echo ]; do sleep 0.05; done") as process:
                assert (await process.wait()).success
            async with await container.exec("echo", "found", env={"PATH": "/other"}) as process:
                assert (await process.wait_with_output()).stdout == b"found\n"
            data = bytes(300_000)
            async with await container.exec("wc", "-c", stdin=firkin.Stdio.PIPED) as process:
                assert process.stdin is not None
                await process.stdin.write(data)
                await process.stdin.aclose()
                assert int((await process.wait_with_output()).stdout) == len(data)
            script = "pwd; grep NoNewPrivs /proc/self/status"
            async with await container.exec("sh", "-c", script, working_dir="/other") as process:
                assert (await process.wait_with_output()).stdout == b"/other\nNoNewPrivs:\t1\n"
            # Three that nobody forgets do not hold the pod's end up.
            for _ in range(3):
                await container.exec("sleep", "3600")
            assert (await pod.stop(1)).clean


async def test_containers_see_neither_files_nor_processes_of_each_other(tmp_path: Path, busybox_image: str) -> None:
    outputs = await _outputs(
        tmp_path,
        busybox_image,
        _shell("one", "echo x > /mine; sleep 1.234"),
        _shell("two", "sleep 0.5; ls /; ps -o args"),
    )
    assert "mine" not in outputs["two"]
    assert "1.234" not in outputs["two"]
    assert "ps -o args" in outputs["two"]


async def test_files_and_nested_directories_can_be_mounted(tmp_path: Path, busybox_image: str) -> None:
    (tmp_path / "file").write_text("from outside\n")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "writable").write_text("from outside\n")
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/mark").write_text("outer\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "way").symlink_to("deep")
    (tmp_path / "deep/mark").write_text("deep\n")

    def bound(source: str, destination: str, *options: str) -> firkin.Mount:
        return firkin.Mount(
            destination,
            "bind",
            str(tmp_path / source),
            ("rbind" if source in ("outer", "deep", "way") else "bind", *options),
        )

    outputs = await _outputs(
        tmp_path,
        busybox_image,
        _shell("read-only", "cat /etc/one; echo x > /etc/one").mount(bound("file", "/etc/one", "ro")),
        _shell("link", "cat /etc/one").mount(bound("link", "/etc/one", "ro")),
        _shell("nested", "cat /m/mark /m/inner/mark")
        .mount(bound("deep", "/m/inner", "ro"))
        .mount(bound("outer", "/m", "ro")),
        _shell("twice", "cat /a/mark /b/mark").mount(bound("deep", "/a", "ro")).mount(bound("deep", "/b", "ro")),
        _shell("links", "cat /a/mark /b/mark").mount(bound("way", "/a", "ro")).mount(bound("way", "/b", "ro")),
        _shell("writer", "echo changed > /etc/one").mount(bound("writable", "/etc/one", "rw")),
    )
    assert outputs["read-only"].splitlines()[0] == "from outside"
    assert "Read-only file system" in outputs["read-only"]
    assert (outputs["nested"], outputs["twice"]) == ("outer\ndeep\n", "deep\ndeep\n")
    assert outputs["links"] == "deep\ndeep\n"
    assert outputs["link"] == "from outside\n"
    assert (tmp_path / "file").read_text() == "from outside\n"
    assert (tmp_path / "writable").read_text() == "changed\n"
