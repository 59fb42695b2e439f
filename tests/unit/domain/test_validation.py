from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable

import pytest

from firkin import (
    EmptyDirVolume,
    ImageConfig,
    Mount,
    PodBuilder,
    PodContainerSpec,
    ResourceLimit,
    RootfsSource,
    Size,
    Stdio,
    VmConfig,
)
from firkin.domain import process_validation, validation
from firkin.domain.host_paths import HostPathVolume
from firkin.domain.probes import ExecAction, GrpcAction, HttpGetAction, Probe, SleepAction
from firkin.domain.volumes import VolumeFile
from firkin.errors import InvalidPodSpec, SpecProblem

from .values import bundle, container


def problems_of(builder: PodBuilder) -> tuple[SpecProblem, ...]:
    with pytest.raises(InvalidPodSpec) as raised:
        builder.validate()
    return raised.value.problems


def pod(*containers: PodContainerSpec) -> PodBuilder:
    builder = PodBuilder("pod-1").empty_dir(EmptyDirVolume.disk("data"))
    for one in containers:
        builder = builder.container(one)
    return builder


def files(*named: tuple[str, int]) -> EmptyDirVolume:
    return EmptyDirVolume.of_files("files", [VolumeFile(path, b"", mode) for path, mode in named])


MAKERS = {"SpecProblem", "_duplicates"}
Change = Callable[[PodContainerSpec], PodContainerSpec]

CONTAINER_PROBLEMS: list[tuple[str, str, Change]] = [
    ("rootfs-unsupported", "rootfs", lambda c: PodContainerSpec("web", RootfsSource.ext4_image("/a.ext4"))),
    (
        "rootfs-reserved",
        "rootfs",
        lambda c: PodContainerSpec("web", RootfsSource.guest_path("/proc/1/root")).command("sh"),
    ),
    (
        "no-layer",
        "writableLayer",
        lambda c: PodContainerSpec("web", RootfsSource.guest_path("/srv")).command("sh").writable_layer_limit(2**20),
    ),
    ("size-limit", "writableLayer", lambda c: c.writable_layer_limit(2**20 - 1)),
    ("size-limit", "writableLayer", lambda c: c.writable_layer_limit(2**43 + 1)),
    ("command-missing", "command", lambda c: PodContainerSpec("web", RootfsSource.guest_path("/srv/root"))),
    ("command-missing", "command", lambda c: container(config=ImageConfig())),
    ("command-missing", "command[0]", lambda c: c.command("", "x")),
    ("nul", "command[1]", lambda c: c.command("sh", "a\0b")),
    ("not-utf-8", "command[0]", lambda c: c.command("\udcff")),
    ("env-key", "env[0]", lambda c: c.env("", "v")),
    ("env-key", "env[1]", lambda c: c.env("A", "1").env("B=C", "v")),
    ("nul", "env[0]", lambda c: c.env("A", "\0")),
    ("working-dir", "workingDir", lambda c: c.working_dir("srv")),
    ("user", "user", lambda c: c.user("")),
    ("user", "user", lambda c: c.user("a:b:c")),
    ("nul", "user", lambda c: c.user("a\0")),
    ("capability", "capabilities", lambda c: c.capabilities(add=["FLY"])),
    ("capability", "capabilities", lambda c: c.capabilities(drop=[""])),
    ("stdin-log", "stdin", lambda c: c.stdin(Stdio.LOG)),
    ("log-size", "log", lambda c: c.log(max_bytes=0)),
    ("terminal-stderr", "stderr", lambda c: c.tty().stderr(Stdio.PIPED)),
    ("host-name", "hostname", lambda c: c.hostname("-a")),
    ("host-name", "hostname", lambda c: c.hostname("a" * 65)),
    ("host-name", "hostname", lambda c: c.hostname("a\n")),
    ("unknown-volume", "emptyDirMounts[0]", lambda c: c.empty_dir_mount("nothing", "/data")),
    ("mount-destination", "mounts[0]", lambda c: c.mount(Mount.tmpfs("/"))),
    ("mount-destination", "mounts[0]", lambda c: c.mount(Mount.tmpfs("relative"))),
    ("mount-destination", "mounts[0]", lambda c: c.mount(Mount.tmpfs("/a/../../b"))),
    ("mount-source", "mounts[0]", lambda c: c.mount(Mount.bind("relative", "/b"))),
    ("nul", "mounts[0]", lambda c: c.mount(Mount.tmpfs("/t", "size=\0"))),
    ("mount-reserved", "mounts[1]", lambda c: c.mount(Mount.tmpfs("/t")).mount(Mount.bind("/x", "/proc/sys/"))),
    ("mount-reserved", "emptyDirMounts[0]", lambda c: c.empty_dir_mount("data", "/dev")),
    ("duplicate-mount", "mounts", lambda c: c.mount(Mount.tmpfs("/t")).mount(Mount.tmpfs("/t/"))),
    ("duplicate-mount", "mounts", lambda c: c.mount(Mount.tmpfs("/t")).empty_dir_mount("data", "/t")),
    ("limit", "limits.memory", lambda c: c.limits(memory=0)),
    ("limit", "limits.cpus", lambda c: c.limits(cpus=math.nan)),
    ("limit", "limits.cpus", lambda c: c.limits(cpus=math.inf)),
    ("limit", "limits.pids", lambda c: c.limits(pids=-1)),
    ("rlimit", "rlimits", lambda c: c.rlimits(ResourceLimit("NOFILE", 1, 1))),
    ("rlimit", "rlimits", lambda c: c.rlimits(ResourceLimit("RLIMIT_NOFILE", 2, 1))),
    ("rlimit", "rlimits", lambda c: c.rlimits(ResourceLimit("RLIMIT_NOFILE", 2, 2**64))),
    ("grace", "grace", lambda c: c.stop_grace(-1)),
    ("probe", "livenessProbe", lambda c: c.liveness_probe(Probe.exec())),
    ("group", "additionalGids", lambda c: c.additional_groups(1, 2**32 - 1)),
    ("sub-path", "emptyDirMounts[0]", lambda c: c.empty_dir_mount("data", "/x", sub_path="y/../../z")),
    ("sub-path", "emptyDirMounts[0]", lambda c: c.empty_dir_mount("data", "/x", sub_path="/etc")),
    ("probe", "startupProbe", lambda c: c.startup_probe(Probe(ExecAction(("true",)), period_seconds=0))),
    ("probe", "readinessProbe", lambda c: c.readiness_probe(Probe(ExecAction(("true",)), failure_threshold=0))),
    ("probe", "livenessProbe", lambda c: c.liveness_probe(Probe(ExecAction(("true",)), success_threshold=2))),
    ("probe", "livenessProbe", lambda c: c.liveness_probe(Probe.tcp_socket(0))),
    ("probe", "livenessProbe", lambda c: c.liveness_probe(Probe.tcp_socket(65536))),
    ("probe", "readinessProbe", lambda c: c.readiness_probe(Probe.http_get(80, "x"))),
    ("probe", "readinessProbe", lambda c: c.readiness_probe(Probe.http_get(80, "/a b\r\nX: y"))),
    ("probe", "readinessProbe", lambda c: c.readiness_probe(Probe.http_get(80, scheme="FTP"))),
    ("probe", "startupProbe", lambda c: c.startup_probe(Probe(HttpGetAction(80, host="a/b")))),
    ("probe", "startupProbe", lambda c: c.startup_probe(Probe(HttpGetAction(80, headers=(("a:", "b"),))))),
    ("probe", "startupProbe", lambda c: c.startup_probe(Probe(GrpcAction(80, service="\0")))),
    ("hook", "postStart", lambda c: c.post_start()),
    ("hook", "preStop", lambda c: c.with_hooks(pre_stop=SleepAction(-1))),
    ("grace", "grace", lambda c: c.stop_grace(math.nan)),
]


@pytest.mark.parametrize(
    ("code", "where", "change"), CONTAINER_PROBLEMS, ids=[f"{code}-{where}" for code, where, _ in CONTAINER_PROBLEMS]
)
def test_a_problem_of_a_container_is_found_once(code: str, where: str, change: Change) -> None:
    (problem,) = problems_of(pod(change(container())))
    assert (problem.code, problem.where) == (code, f"containers[0].{where}")


POD_PROBLEMS: list[tuple[str, str, PodBuilder]] = [
    ("duplicate-volume", "volumes", pod().empty_dir(EmptyDirVolume.memory("data"))),
    ("duplicate-volume", "volumes", pod().host_path(HostPathVolume("data", "/srv"))),
    ("host-path", "hostPaths[0]", pod().host_path(HostPathVolume("host", "srv"))),
    ("host-path", "hostPaths[0]", pod().host_path(HostPathVolume("host", "/srv/../etc"))),
    ("host-path", "hostPaths[0]", pod().host_path(HostPathVolume("host", "/srv/"))),
    ("host-path", "hostPaths[0]", pod().host_path(HostPathVolume("host", "/s\0"))),
    (
        "sub-path",
        "containers[0].emptyDirMounts[0]",
        pod(container().empty_dir_mount("files", "/v", sub_path="b")).empty_dir(files(("a", 0o644))),
    ),
    ("duplicate-container", "containers", pod(container(), container(), container())),
    ("duplicate-container", "containers", pod(container()).init_container(container())),
    ("init-probes", "initContainers[0]", pod().init_container(container().post_start("true"))),
    ("sidecar", "containers[0]", pod(container().sidecar())),
    ("zero-size", "emptyDirs[1].sizeLimit", pod().empty_dir(EmptyDirVolume.memory("m", size_limit=0))),
    ("limit", "limits.memory", pod().limits(memory=0)),
    ("duplicate-file", "emptyDirs[1].files", pod().empty_dir(files(("a", 0o644), ("a", 0o600)))),
    ("file-path", "emptyDirs[1].files", pod().empty_dir(files(("../a", 0o644)))),
    ("file-mode", "emptyDirs[1].files", pod().empty_dir(files(("a", 0o4755)))),
    ("group", "emptyDirs[1].groupId", pod().empty_dir(EmptyDirVolume("v", group_id=-1))),
    ("limit-beyond-pod", "containers[0].limits.cpus", pod().limits(cpus=0.5).container(container().limits(cpus=0.6))),
    ("limit-beyond-pod", "containers[0].limits.pids", pod().limits(pids=5).container(container().limits(pids=6))),
    ("size-limit", "emptyDirs[1].sizeLimit", pod().empty_dir(EmptyDirVolume.memory("m", size_limit=4095))),
    ("size-limit", "emptyDirs[1].sizeLimit", pod().empty_dir(EmptyDirVolume.disk("d", size_limit=2**20 - 1))),
    ("size-limit", "emptyDirs[1].sizeLimit", pod().empty_dir(EmptyDirVolume.disk("d", size_limit=2**43 + 1))),
    ("host-name", "hostname", pod().hostname("no_such")),
    ("cpus", "vm.cpus", PodBuilder("pod-1", VmConfig(cpus=0))),
    ("memory", "vm.memory", PodBuilder("pod-1", VmConfig(memory=Size.mib(1)))),
    ("timeout", "vm.bootTimeoutSeconds", PodBuilder("pod-1", VmConfig(boot_timeout_seconds=math.nan))),
]


@pytest.mark.parametrize(("code", "where", "builder"), POD_PROBLEMS, ids=[code for code, _, _ in POD_PROBLEMS])
def test_a_problem_of_a_pod_is_found_once(code: str, where: str, builder: PodBuilder) -> None:
    (problem,) = problems_of(builder)
    assert (problem.code, problem.where) == (code, where)


def written_codes() -> set[str]:
    """Every code that the modules give to a SpecProblem, read from their source."""
    trees = [ast.parse(inspect.getsource(module)) for module in (validation, process_validation)]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    makers = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in MAKERS]
    codes = [call.args[1] for call in makers]
    return {str(code.value) for code in codes if isinstance(code, ast.Constant)}


def test_every_problem_code_is_tested() -> None:
    assert written_codes() == {code for code, *_ in (*CONTAINER_PROBLEMS, *POD_PROBLEMS)}


def test_all_problems_are_reported_at_once() -> None:
    builder = (
        pod(
            container("a").working_dir("x").empty_dir_mount("nothing", "/n"),
            container("b").env("", "1").limits(cpus=0.0),
            container("a"),
        )
        .empty_dir(EmptyDirVolume.disk("data"))
        .hostname("-")
    )
    problems = problems_of(builder)
    assert [problem.code for problem in problems] == [
        "host-name",
        "duplicate-volume",
        "duplicate-container",
        "working-dir",
        "unknown-volume",
        "env-key",
        "limit",
    ]
    with pytest.raises(InvalidPodSpec) as raised:
        builder.build()
    assert all(problem.message in str(raised.value) for problem in problems)
    assert raised.value.pod_id == "pod-1"


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c,
        lambda c: c.mount(Mount.tmpfs("/dev/shm", "size=1g")),
        lambda c: c.mount(Mount.tmpfs("/t/")),
        lambda c: c.tty().stdin(Stdio.PIPED).stdout(Stdio.PIPED),
        lambda c: c.capabilities(add=["all"], drop=["net_raw"]),
        lambda c: c.user(1000).stop_grace(0),
        lambda c: c.rlimits(ResourceLimit("RLIMIT_CORE", 0, 2**64 - 1)),
        lambda c: c.limits(memory=2**30, cpus=0.5, pids=10),
        lambda c: c.hostname("web-1.example.org"),
    ],
)
def test_what_is_right_passes(change: Change) -> None:
    assert pod(change(container())).build().containers[0].id == "web"


def test_an_image_without_a_command_is_fine_when_the_spec_has_one() -> None:
    spec = PodContainerSpec("web", RootfsSource.oci_bundle(bundle(ImageConfig()))).command("sh")
    assert pod(spec).build().containers == (spec,)
