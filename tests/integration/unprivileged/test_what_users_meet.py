"""What an ordinary user meets where root meets something else; run by the tests of `test_users.py`, as one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from firkin.adapters.store_directory import DirectoryTemplates
from firkin.domain.digest import Digest
from firkin.domain.events import ImageUnpacked, PodPhaseChanged
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.image import ImageBundle, LayerBlob, chained_layers
from firkin.domain.lifecycle import PodPhase
from firkin.domain.listed_templates import listed_templates
from firkin.domain.reports import Promise
from firkin.errors import FirkinError, SandboxDied, UnsupportedFeature, UserNotMapped
from firkin.ports.agent_templates import TemplateProgress
from firkin.testkit.busybox_image import busybox_bundle
from tests.images.debian import OPAQUE_DIRECTORY, REMOVED_DIRECTORY, REMOVED_FILE
from tests.integration.pod.pods import real_runtime, shell
from tests.machine_state import MachineState, settled_state

pytestmark = [pytest.mark.real_time, pytest.mark.needs_user]

MIB = 2**20
_NET_RAW = "\x01\0\0\x02\0\x20" + "\0" * 14
"""CAP_NET_RAW, effective and permitted, as capabilities(7) has it in a file: that of ping(8)."""


def found(directory: Path, pattern: str) -> list[Path]:
    return list(directory.glob(pattern))


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    before = await settled_state()
    yield
    assert MachineState.now().beyond(before) == {}


async def test_root_of_a_container_is_the_user_outside(tmp_path: Path, busybox_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        assert runtime.capabilities()["user isolation"].promise is Promise.ENFORCED
        bundle = await runtime.images.resolve(busybox_image)
        script = "id -u; touch /shared/made; cat /proc/self/uid_map"
        main = shell("main", bundle, script).empty_dir_mount("shared", "/shared")
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("shared")).container(main).build()
        async with runtime.spawn(spec) as pod:
            output = await pod.wait_container("main")
            assert output.stdout.split()[:4] == [b"0", b"0", b"%d" % os.getuid(), b"1"]
            (made,) = found(tmp_path, "state/store/pods/pod-1/emptydir/shared/made")
            assert made.stat().st_uid == os.getuid()


@pytest.mark.needs_ids
async def test_other_users_have_ids_of_the_users_range_outside(tmp_path: Path, busybox_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        main = shell("main", bundle, "touch /shared/made; id").empty_dir_mount("shared", "/shared").user("app")
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("shared")).container(main).build()
        async with runtime.spawn(spec) as pod:
            told = (await pod.wait_container("main")).stdout
            assert told == b"uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)\n"
            (made,) = found(tmp_path, "state/store/pods/pod-1/emptydir/shared/made")
            assert made.stat().st_uid not in (os.getuid(), 1000)


async def test_what_is_not_promised_is_refused_with_the_reason(tmp_path: Path, busybox_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        promises = runtime.capabilities()
        lost = {one.name: one for one in promises.promises if one.promise is Promise.UNAVAILABLE}
        bundle = await runtime.images.resolve(busybox_image)
        pod = firkin.PodBuilder("pod-1").container(shell("main", bundle, "true"))
        refused = {
            "memory limit": firkin.PodBuilder("pod-1").container(shell("a", bundle, "true").limits(memory=64 * MIB)),
            "cpu limit": firkin.PodBuilder("pod-1").container(shell("a", bundle, "true").limits(cpus=1)),
            "pids limit": pod.limits(pids=10),
            "disk emptyDir size limit": pod.empty_dir(firkin.EmptyDirVolume.disk("a", MIB)),
            "writable layer size limit": firkin.PodBuilder("pod-1").container(
                shell("a", bundle, "true").writable_layer_limit(MIB)
            ),
        }
        assert refused.keys() <= lost.keys()
        for name, builder in refused.items():
            with pytest.raises(UnsupportedFeature) as caught:
                await runtime.spawn(builder.build())
            assert caught.value.reason, name
            assert lost[name].reason, name
            is_of_groups = name.split()[0] in ("memory", "cpu", "pids")
            assert ("systemd-run --user --scope -p Delegate=yes firkin" in caught.value.reason) is is_of_groups, name
        assert "told as one by SIGKILL" in lost["OOM reports"].reason
        assert promises["statistics"].promise is Promise.BEST_EFFORT
        assert "processes that live" in promises["statistics"].reason


async def test_an_ext4_store_is_refused_with_what_to_take_instead(tmp_path: Path) -> None:
    async with nothing_left(), real_runtime(tmp_path, "ext4") as runtime:
        with pytest.raises(UnsupportedFeature, match="--store directory"):
            await runtime.spawn(firkin.PodBuilder("pod-1").build())
    assert found(tmp_path, "state/pod-stores/*") == []


async def test_without_being_told_a_user_gets_a_directory_store(tmp_path: Path, busybox_image: str) -> None:
    config = firkin.RuntimeConfig(state_dir=tmp_path / "state", runtime_dir=tmp_path / "run")
    async with nothing_left(), firkin.open_runtime(config) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, "echo fine")).build()
        async with runtime.spawn(spec) as pod:
            assert (await pod.wait_container("main")).stdout == b"fine\n"


async def test_a_user_without_an_id_is_refused_with_what_mends_it(tmp_path: Path, busybox_variant_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        promise = runtime.capabilities()["users of images"]
        bundle = await runtime.images.resolve(busybox_variant_image)
        far = firkin.PodContainerSpec("main", firkin.RootfsSource.oci_bundle(bundle)).user("4000000")
        await _refused(runtime, far, "uid 4000000")
        await _refused(runtime, far.user("0:4000000"), "gid 4000000")
        if promise.promise is Promise.BEST_EFFORT:
            assert "usermod --add-subuids" in promise.reason
            await _refused(runtime, firkin.PodContainerSpec("main", far.rootfs), "uid 1000")
            volume = firkin.EmptyDirVolume("data", group_id=2000)
            with pytest.raises(UnsupportedFeature, match="firkin doctor"):
                await runtime.spawn(firkin.PodBuilder("pod-1").empty_dir(volume).build())


async def _refused(runtime: firkin.Runtime, container: firkin.PodContainerSpec, unmapped_id: str) -> None:
    with pytest.raises(UserNotMapped, match="firkin doctor") as caught:
        await runtime.spawn(firkin.PodBuilder("pod-1").container(container).build())
    assert caught.value.unmapped_id == unmapped_id


@pytest.mark.parametrize("prefer_agent_v1", [True, False])
async def test_what_only_root_can_make_is_told_once_for_each_image(tmp_path: Path, prefer_agent_v1: bool) -> None:
    bundle = _with_what_only_root_can_make(tmp_path)
    config = firkin.RuntimeConfig(
        state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run",
        agents=GrpcAgentConnector(prefer_agent_v1=prefer_agent_v1),
    )
    reports: list[TemplateProgress] = []
    unpacked: list[ImageUnpacked] = []
    async with nothing_left(), firkin.open_runtime(config) as runtime, asyncio.timeout(60):
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, "ls -l /special")).build()
        async with runtime.events() as events:
            for _ in range(2):
                async with runtime.spawn(spec, reports.append) as pod:
                    assert b"node" in (await pod.wait_container("main")).stdout
            async for told in events:
                if isinstance(told.event, ImageUnpacked):
                    unpacked.append(told.event)
                if isinstance(told.event, PodPhaseChanged) and told.event.phase is PodPhase.STOPPED and len(unpacked):
                    break
        promises = runtime.capabilities()
    assert promises["devices of images"].promise is Promise.UNAVAILABLE
    assert promises["attributes of images"].promise is Promise.BEST_EFFORT
    expected = {"device": 2, "owner": 1, "attribute": 1}
    assert [(event.reference, event.chain_id, event.replaced) for event in unpacked] == [
        (bundle.reference, bundle.chain_id, expected)
    ]
    assert [report.replaced for report in reports if report.replaced] == [expected]
    assert reports[-1].reference == bundle.reference
    # It is told later as well, to whoever looks at what the store holds.
    (listed,) = listed_templates(await DirectoryTemplates(tmp_path / "state").items())
    assert listed.replaced == expected
    (capable,) = found(tmp_path, "state/store/templates/sha256-*/*/special/capable")
    assert os.getxattr(capable, "security.capability")


def _with_what_only_root_can_make(directory: Path) -> ImageBundle:
    """Busybox, and above it devices, a file of a user that nobody has, an attribute for administrators, and one more.

    The last one is that of a program with capabilities, which root of a user namespace may set.
    """
    base = busybox_bundle(directory)
    archive = directory / "special.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in (("special", tarfile.DIRTYPE), ("special/node", tarfile.CHRTYPE)):
            tar.addfile(_entry(name, kind))
        tar.addfile(_entry("special/disk", tarfile.BLKTYPE))
        owned = _entry("special/owned", tarfile.REGTYPE)
        owned.uid = 4_000_000
        owned.pax_headers = {"SCHILY.xattr.trusted.secret": "x"}
        tar.addfile(owned)
        capable = _entry("special/capable", tarfile.REGTYPE)
        capable.pax_headers = {"SCHILY.xattr.security.capability": _NET_RAW}
        tar.addfile(capable)
    blob = archive.read_bytes()
    above = LayerBlob(archive, Digest.of(blob), len(blob), "application/vnd.oci.image.layer.v1.tar")
    (below,) = base.layers
    lower = LayerBlob(below.path, below.digest, below.size_bytes, below.media_type)
    layers = chained_layers((lower, above), (below.diff_id, Digest.of(blob)))
    return replace(base, reference="test:special", layers=layers)


def _entry(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, 0o755
    entry.devmajor, entry.devminor = (1, 3) if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE) else (0, 0)
    return entry


async def test_statistics_are_added_up_over_the_processes(tmp_path: Path, busybox_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime, asyncio.timeout(60):
        bundle = await runtime.images.resolve(busybox_image)
        # Until then the second process is a copy of the shell.
        is_sleep = '[ "$(head -c 5 /proc/$!/cmdline)" = sleep ]'
        script = f"sleep 1000 & until {is_sleep}; do :; done; echo ready; while :; do :; done"
        busy = shell("busy", bundle, script)
        async with runtime.spawn(firkin.PodBuilder("pod-1").container(busy).build()) as pod:
            container = pod.container("busy")
            assert container.stdout is not None
            assert await container.stdout.read_line() == b"ready\n"
            async for sample in container.stats_stream(interval_seconds=0.05):
                if sample.cpu.usage_usec:
                    break
            assert sample.memory.usage_bytes
            assert sample.processes.current == 2
            assert sample.memory_events.oom_kill is None
            assert sorted(one.command[0] for one in await container.processes()) == ["sh", "sleep"]
            # A busy shell, as the first process of its container, hears no SIGTERM.
            await pod.stop(0)


async def test_what_a_dead_sandbox_left_is_removed_though_it_belongs_to_other_ids(
    tmp_path: Path, busybox_image: str
) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime, asyncio.timeout(60):
        bundle = await runtime.images.resolve(busybox_image)
        closed = "mkdir -p /v/closed/below; touch /v/closed/below/file; chmod 0 /v/closed; echo ready; sleep 1000"
        main = shell("main", bundle, closed).empty_dir_mount("v", "/v")
        if "ids 0 to" in runtime.capabilities()["users of images"].reason:
            main = main.user("app")
        spec = firkin.PodBuilder("pod-1").empty_dir(firkin.EmptyDirVolume.disk("v")).container(main).build()
        pod = await runtime.spawn(spec)
        stdout = pod.container("main").stdout
        assert stdout is not None
        assert await stdout.read_line() == b"ready\n"
        for agent in _agents(pod.vm.socket_directory):
            os.kill(agent, signal.SIGKILL)
        with pytest.raises(SandboxDied):
            await pod.container("main").wait()
        await pod.stop()
    assert found(tmp_path, "state/store/pods/*") == []
    assert found(tmp_path, "state/store/.discarded-*") == []


def _agents(socket_directory: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if b"firkin.vminitd" in command and bytes(socket_directory) in command and b"--kill-child" not in command:
                found.append(int(path.parent.name))
    return found


async def test_templates_are_measured_and_removed_whoever_owns_their_files(tmp_path: Path, services_image: str) -> None:
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(services_image)
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, "true")).build()
        async with runtime.spawn(spec) as pod:
            await pod.wait_container("main")
            (counted,) = [(await pod.store_breakdown()).templates.bytes]
    templates = DirectoryTemplates(tmp_path / "state")
    (item,) = await templates.items()
    assert abs(item.size_bytes - counted) < counted / 50
    assert (await templates.reclaim(item)).held == ""
    assert await templates.items() == ()
    assert found(tmp_path, "state/store/.discarded-*") == []


async def test_templates_of_other_ids_are_made_again(tmp_path: Path, busybox_image: str) -> None:
    spec = firkin.PodBuilder("pod-1")
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = spec.container(shell("main", bundle, "true"))
        made = []
        with contextlib.ExitStack() as kept:
            for ids in (None, None, "users\n0 4242 1\ngroups\n0 4242 1\n"):
                if ids is not None:
                    (tmp_path / "state/store/.ids").write_text(ids)
                async with runtime.spawn(spec.build()):
                    (template,) = found(tmp_path, "state/store/templates/sha256-*")
                    # What is open keeps its inode: the next template cannot be given the same number.
                    opened = os.open(template, os.O_RDONLY | os.O_DIRECTORY)
                    kept.callback(os.close, opened)
                    made.append(os.fstat(opened).st_ino)
        assert made[0] == made[1]
        assert made[2] != made[0]


async def test_directories_that_replace_others_are_opaque(tmp_path: Path, busybox_image: str) -> None:
    script = (
        "rm -r /home/app && mkdir /home/app && ls -A /home/app && mv /var /moved && ls /moved; rm -r /moved; ls -d /v*"
    )
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, script)).build()
        async with runtime.spawn(spec) as pod:
            output = await pod.wait_container("main")
            assert output.stdout == b"tmp\n"
            assert b"/v*" in output.stderr


async def test_files_of_the_state_directory_are_closed_to_others(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime, runtime.spawn(firkin.PodBuilder("pod-1").build()) as pod:
        modes = {path: path.stat().st_mode & 0o777 for path in (pod.vm.socket_directory, tmp_path / "state/store")}
        sockets = {path.name: path.stat().st_mode & 0o777 for path in pod.vm.socket_directory.iterdir()}
    assert set(modes.values()) == {0o700}
    assert set(sockets.values()) == {0o600}


async def test_a_pod_that_is_refused_tells_what_a_program_can_act_on(tmp_path: Path, busybox_image: str) -> None:
    async with real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        container = shell("main", bundle, "true").user("4000000")
        with pytest.raises(FirkinError) as caught:
            await runtime.spawn(firkin.PodBuilder("pod-1").container(container).build())
    assert (caught.value.code, caught.value.container_id) == ("user-not-mapped", "main")


async def test_a_path_of_the_host_is_seen_with_the_users_rights(tmp_path: Path, busybox_image: str) -> None:
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "file").write_text("from the host\n")
    config = firkin.RuntimeConfig(
        state_dir=tmp_path / "state", runtime_dir=tmp_path / "run", allow_host_paths=(shown, Path("/etc"))
    )
    async with nothing_left(), firkin.open_runtime(config) as runtime:
        bundle = await runtime.images.resolve(busybox_image)
        script = "cat /shown/file; echo back > /shown/made; cat /host/hostname > /dev/null && echo read; : > /host/x"
        main = shell("main", bundle, script).host_path_mount("shown", "/shown").host_path_mount("etc", "/host")
        spec = firkin.PodBuilder("pod-1").host_path(HostPathVolume("shown", str(shown)))
        spec = spec.host_path(HostPathVolume("etc", "/etc")).container(main)
        async with runtime.spawn(spec.build()) as pod:
            output = await pod.wait_container("main")
    assert output.stdout == b"from the host\nread\n"
    assert b"Permission denied" in output.stderr
    (made,) = found(shown, "made")
    assert made.stat().st_uid == os.getuid()


async def test_layers_alone_hide_and_replace_what_lies_below_them(tmp_path: Path, debian_image: str) -> None:
    script = f"ls /{OPAQUE_DIRECTORY}; ls -d /{REMOVED_FILE} /{REMOVED_DIRECTORY} 2>/dev/null; echo end"
    async with nothing_left(), real_runtime(tmp_path) as runtime:
        bundle = await runtime.images.resolve(debian_image)
        spec = firkin.PodBuilder("pod-1").container(shell("main", bundle, script)).build()
        async with runtime.spawn(spec) as pod:
            assert (await pod.wait_container("main")).stdout == b"new\nreplaced\nend\n"
            assert len(found(tmp_path, "state/store/templates/sha256-*")) == len(bundle.layers)
