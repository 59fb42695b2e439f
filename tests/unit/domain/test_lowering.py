"""What users of docker expect of an image's config and of their own wishes."""

from __future__ import annotations

import json
from typing import TypedDict

import msgspec
import pytest

from firkin import GuestPath, ImageConfig, Mount, Platform, PodContainerSpec, ResourceLimit, RootfsSource, Size
from firkin.domain.container_spec import ProcessOptions
from firkin.domain.linux_capabilities import DEFAULT_CAPABILITIES
from firkin.domain.lowering import (
    DEFAULT_PATH,
    container_runtime_spec,
    encoded,
    exec_runtime_spec,
    for_strict_agents,
    stop_signal,
)
from firkin.domain.oci_runtime import LinuxCapabilities, LinuxMemory, LinuxPids, Rlimit, RuntimeSpec
from firkin.domain.seccomp import default_seccomp
from firkin.errors import InvalidArgument

from .values import bundle, container

ROOTFS = GuestPath("/run/firkin/pod-store/pods/p/containers/web/merged")
PATH = f"PATH={DEFAULT_PATH}"


def lowered(spec: PodContainerSpec | None = None, image: ImageConfig | None = None, *mounts: Mount) -> RuntimeSpec:
    return container_runtime_spec(spec or container(), image or ImageConfig(), ROOTFS, "pod-1", mounts)


@pytest.mark.parametrize(
    ("entrypoint", "command", "given", "expected"),
    [
        (("/entry",), (), (), ("/entry",)),
        ((), ("/cmd", "x"), (), ("/cmd", "x")),
        (("/entry", "-e"), ("cmd",), (), ("/entry", "-e", "cmd")),
        (("/entry",), ("cmd",), ("sh", "-c", "id"), ("sh", "-c", "id")),
        ((), (), ("sh",), ("sh",)),
    ],
)
def test_a_command_replaces_entrypoint_and_command_of_the_image(
    entrypoint: tuple[str, ...], command: tuple[str, ...], given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    image = ImageConfig(entrypoint=entrypoint, command=command)
    assert lowered(container().command(*given), image).process.args == expected


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        ((), {}, (PATH,)),
        (("A=1",), {}, (PATH, "A=1")),
        (("PATH=/opt/bin", "A=1"), {}, ("PATH=/opt/bin", "A=1")),
        (("A=1", "B=2"), {"A": "3", "C": "4"}, (PATH, "A=3", "B=2", "C=4")),
        (("A=1", "A=2"), {}, (PATH, "A=2")),
        (("A=x=y", "E="), {"F": ""}, (PATH, "A=x=y", "E=", "F=")),
        (("BROKEN", "=x"), {}, (PATH,)),
        (("PATH=/opt/bin",), {"PATH": "/mine"}, ("PATH=/mine",)),
        ((), {"HOME": "/h"}, (PATH, "HOME=/h")),
    ],
)
def test_the_environment_is_the_images_overridden_by_the_users(
    image: tuple[str, ...], given: dict[str, str], expected: tuple[str, ...]
) -> None:
    assert lowered(container().envs(given), ImageConfig(environment=image)).process.env == expected


def test_the_last_of_equal_variables_counts() -> None:
    spec = container().env("A", "1").env("B", "2").env("A", "3")
    assert lowered(spec).process.env == (PATH, "A=3", "B=2")


def test_a_terminal_is_an_xterm_unless_said_otherwise() -> None:
    assert lowered(container().tty()).process.env == (PATH, "TERM=xterm")
    assert lowered(container().tty().env("TERM", "vt100")).process.env == (PATH, "TERM=vt100")
    assert lowered(container().tty()).process.terminal


def test_home_is_left_to_the_agent() -> None:
    assert not any(variable.startswith("HOME=") for variable in lowered().process.env)


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [
        ("", None, "/"),
        ("/srv", None, "/srv"),
        ("/srv", "/other", "/other"),
        ("srv/app", None, "/srv/app"),
        ("//srv//app/", None, "/srv/app"),
    ],
)
def test_the_working_directory_is_the_images_unless_given(image: str, given: str | None, expected: str) -> None:
    spec = container() if given is None else container().working_dir(given)
    assert lowered(spec, ImageConfig(working_dir=image)).process.cwd == expected


@pytest.mark.parametrize(
    ("image", "given", "expected"),
    [("", None, ""), ("app", None, "app"), ("app:video", "1000:1000", "1000:1000"), ("", 5, "5")],
)
def test_the_user_is_passed_on_for_the_agent_to_resolve(image: str, given: str | int | None, expected: str) -> None:
    spec = container() if given is None else container().user(given)
    user = lowered(spec, ImageConfig(user=image)).process.user
    assert (user.username, user.uid, user.gid) == (expected, 0, 0)


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 15), ("SIGQUIT", 3), ("INT", 2), ("9", 9), ("SIGRTMIN+3", 37), ("nonsense", 15), ("0", 15), ("99", 15)],
)
def test_the_stop_signal_is_the_images_or_sigterm(text: str, number: int) -> None:
    assert stop_signal(ImageConfig(stop_signal=text)) == number


def test_without_an_image_the_stop_signal_is_sigterm() -> None:
    assert stop_signal(None) == 15


def test_a_rootfs_without_an_image_has_the_users_wishes_only() -> None:
    spec = PodContainerSpec("web", RootfsSource.guest_path("/srv/root")).command("sh")
    process = container_runtime_spec(spec, None, GuestPath("/srv/root"), "pod-1", ()).process
    assert (process.args, process.env, process.cwd, process.user.username) == (("sh",), (PATH,), "/", "")


def test_the_default_privileges_are_small() -> None:
    process = lowered().process
    assert process.no_new_privileges
    assert process.capabilities.inheritable == process.capabilities.ambient == ()
    assert set(process.capabilities.bounding) == set(DEFAULT_CAPABILITIES)
    assert process.capabilities.effective == process.capabilities.permitted == process.capabilities.bounding


def test_privileges_can_be_asked_for() -> None:
    spec = container().capabilities(add=["net_raw"], drop=["ALL"]).new_privileges()
    process = lowered(spec).process
    assert process.capabilities == LinuxCapabilities(*[("CAP_NET_RAW",)] * 3)
    assert not process.no_new_privileges


def test_limits_of_the_process_are_passed_on() -> None:
    spec = container().rlimits(ResourceLimit("RLIMIT_NOFILE", 64, 128))
    assert lowered(spec).process.rlimits == (Rlimit("RLIMIT_NOFILE", 128, 64),)


def test_every_namespace_is_new_but_the_network() -> None:
    linux = lowered().linux
    assert [one.type for one in linux.namespaces] == ["pid", "mount", "ipc", "uts", "cgroup"]
    assert linux.cgroups_path == "/container/web"


def test_the_standard_mounts_are_those_of_docker() -> None:
    mounts = {mount.destination: mount for mount in lowered().mounts}
    assert set(mounts) == {"/proc", "/dev", "/sys", "/dev/pts", "/dev/mqueue", "/dev/shm", "/sys/fs/cgroup"}
    assert mounts["/dev"].options == ("nosuid", "strictatime", "mode=755", "size=65536k")
    assert mounts["/dev/shm"].options == ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")
    assert "ro" in mounts["/sys"].options
    assert "ro" in mounts["/sys/fs/cgroup"].options


def test_mounts_come_parents_first_whatever_their_order() -> None:
    spec = container().mount(Mount.tmpfs("/data/cache/hot/")).mount(Mount.tmpfs("//b")).mount(Mount.tmpfs("/a"))
    destinations = [mount.destination for mount in lowered(spec, None, Mount.bind("/v", "/data/cache")).mounts]
    assert [one for one in destinations if not one.startswith(("/proc", "/sys", "/dev"))] == [
        "/b",
        "/a",
        "/data/cache",
        "/data/cache/hot",
    ]
    assert destinations.index("/dev") < destinations.index("/dev/shm")
    assert destinations.index("/sys") < destinations.index("/sys/fs/cgroup")


def test_a_mount_replaces_the_standard_one_of_its_place() -> None:
    spec = container().mount(Mount.tmpfs("/dev/shm/", "size=1g"))
    (shm,) = [mount for mount in lowered(spec).mounts if mount.destination == "/dev/shm"]
    assert shm.options == ("size=1g",)


def test_kernel_paths_are_masked_or_read_only() -> None:
    linux = lowered().linux
    assert {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"} <= set(linux.masked_paths)
    assert {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"} <= set(linux.readonly_paths)


def test_limits_become_control_group_settings() -> None:
    resources = lowered(container().limits(memory=Size.mib(64), cpus=0.5, pids=32)).linux.resources
    assert resources.memory == LinuxMemory(limit=2**26, swap=2**26)
    assert resources.cpu is not msgspec.UNSET
    assert (resources.cpu.quota, resources.cpu.period) == (50_000, 100_000)
    assert resources.pids == LinuxPids(32)


def test_a_tiny_share_of_a_processor_is_the_kernels_least() -> None:
    cpu = lowered(container().limits(cpus=0.0001)).linux.resources.cpu
    assert cpu is not msgspec.UNSET
    assert cpu.quota == 1000


def test_devices_are_denied_but_for_the_harmless() -> None:
    first, *others = lowered().linux.resources.devices
    assert (first.allow, first.access) == (False, "rwm")
    nodes = {(rule.type, rule.major, rule.minor) for rule in others if "r" in rule.access}
    assert nodes == {("c", 1, minor) for minor in (3, 5, 7, 8, 9)} | {
        *(("c", 5, minor) for minor in (0, 1, 2)),
        ("c", 136, None),
    }


def test_the_rootfs_may_be_read_only_and_the_host_name_the_containers_own() -> None:
    spec = lowered(container().read_only_rootfs().hostname("mine"))
    assert (spec.root.path, spec.root.readonly, spec.hostname) == (ROOTFS, True, "mine")
    assert lowered().hostname == "pod-1"


class Json(TypedDict):
    """The keys that these tests read."""

    ociVersion: str
    process: dict[str, object]
    root: dict[str, object]
    linux: dict[str, object]
    mounts: list[dict[str, object]]


def as_json(spec: RuntimeSpec) -> Json:
    return msgspec.json.decode(encoded(spec), type=Json)


def test_the_json_has_the_keys_of_the_specification() -> None:
    spec = as_json(lowered(container().limits(memory=Size.mib(64), pids=3).read_only_rootfs()))
    assert spec["ociVersion"] == "1.1.0"
    assert spec["process"]["noNewPrivileges"] is True
    assert spec["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": [], "username": ""}
    assert spec["process"]["cwd"] == "/"
    assert spec["root"] == {"path": ROOTFS, "readonly": True}
    assert spec["linux"]["cgroupsPath"] == "/container/web"
    assert {"maskedPaths", "readonlyPaths", "seccomp", "namespaces"} <= set(spec["linux"])
    resources = spec["linux"]["resources"]
    assert isinstance(resources, dict)
    assert set(resources) == {"devices", "hugepageLimits", "memory", "pids"}
    assert resources["memory"] == {"limit": 2**26, "swap": 2**26}
    assert all("destination" in mount for mount in spec["mounts"])


def test_a_new_namespace_has_no_path_for_crun_and_an_empty_one_for_strict_agents() -> None:
    spec = lowered(container().limits(cpus=1))
    assert {"type": "pid"} in json.loads(encoded(spec))["linux"]["namespaces"]
    strict = json.loads(encoded(for_strict_agents(spec)))["linux"]
    assert {"type": "pid", "path": ""} in strict["namespaces"]
    assert strict["resources"]["cpu"] == {"quota": 100_000, "period": 100_000, "cpus": "", "mems": ""}
    assert strict["resources"]["hugepageLimits"] == []


def test_an_encoded_spec_is_read_back() -> None:
    spec = lowered(container().tty().limits(memory=1 << 26, cpus=2.0, pids=5).rlimits(ResourceLimit("RLIMIT_AS", 1, 2)))
    assert msgspec.json.decode(encoded(spec), type=RuntimeSpec) == spec


def test_an_exec_inherits_from_its_container() -> None:
    init = lowered(container().env("A", "1").env("B", "2").working_dir("/srv").user("app").capabilities(drop=["KILL"]))
    process = exec_runtime_spec(init, ProcessOptions(args=("id",))).process
    assert process.args == ("id",)
    assert (process.env, process.cwd, process.user) == (init.process.env, "/srv", init.process.user)
    assert process.capabilities == init.process.capabilities
    assert process.no_new_privileges


def test_an_exec_overrides_what_it_names() -> None:
    init = lowered(
        container().env("A", "1").env("B", "2").user("app").new_privileges().rlimits(ResourceLimit("RLIMIT_CORE", 0, 0))
    )
    options = ProcessOptions(
        args=("sh",),
        environment=(("B", "3"), ("C", "4")),
        working_dir="/t",
        user="root:video",
        capabilities_add=("NET_RAW",),
        capabilities_drop=("CHOWN",),
        rlimits=(ResourceLimit("RLIMIT_NOFILE", 5, 6),),
        terminal=True,
    )
    process = exec_runtime_spec(init, options).process
    assert process.env == (PATH, "A=1", "B=3", "C=4", "TERM=xterm")
    assert (process.cwd, process.user.username, process.terminal) == ("/t", "root:video", True)
    changed = {*DEFAULT_CAPABILITIES, "CAP_NET_RAW"} - {"CAP_CHOWN"}
    assert set(process.capabilities.effective) == changed
    assert process.rlimits == (Rlimit("RLIMIT_CORE", 0, 0), Rlimit("RLIMIT_NOFILE", 6, 5))
    assert not process.no_new_privileges


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (ProcessOptions(), "an exec needs a command"),
        (ProcessOptions(args=("",)), "exec.command.0.: the command is empty"),
        (ProcessOptions(args=("id",), working_dir="srv"), "exec.workingDir: .* is not absolute"),
        (ProcessOptions(args=("id",), capabilities_add=("FLY",)), "exec.capabilities: 'FLY' is not"),
        (ProcessOptions(args=("id",), environment=(("", "1"),), user=""), "exec.env.0.: .*; exec.user: "),
    ],
)
def test_a_bad_exec_is_refused_with_all_its_problems(options: ProcessOptions, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        exec_runtime_spec(lowered(), options)


def test_an_exec_does_not_get_the_terminal_of_its_container() -> None:
    assert not exec_runtime_spec(lowered(container().tty()), ProcessOptions(args=("id",))).process.terminal


def test_the_filter_of_an_exec_is_its_containers_and_does_not_travel_again() -> None:
    spec = exec_runtime_spec(lowered(), ProcessOptions(args=("id",)))
    assert spec.linux.seccomp is msgspec.UNSET
    assert spec.root.path == ROOTFS


def names(capabilities: tuple[str, ...], action: str) -> set[str]:
    rules = default_seccomp(capabilities, "amd64").syscalls
    return {name for rule in rules if rule.action == action and not rule.args for name in rule.names}


def test_the_system_call_filter_allows_by_name_and_refuses_the_rest() -> None:
    profile = default_seccomp(DEFAULT_CAPABILITIES, "amd64")
    assert (profile.default_action, profile.default_errno_ret) == ("SCMP_ACT_ERRNO", 38)
    allowed, refused = names(DEFAULT_CAPABILITIES, "SCMP_ACT_ALLOW"), names(DEFAULT_CAPABILITIES, "SCMP_ACT_ERRNO")
    assert {"read", "write", "execve", "clone3", "chroot"} <= allowed
    assert {"bpf", "init_module", "kexec_load", "perf_event_open", "setns", "open_by_handle_at"} <= refused
    assert not allowed & refused


def test_the_system_call_filter_follows_the_capabilities() -> None:
    assert {"bpf", "setns"} <= names(("CAP_SYS_ADMIN",), "SCMP_ACT_ALLOW")
    assert "chroot" in names((), "SCMP_ACT_ERRNO")
    assert "socket" in names(("CAP_AUDIT_WRITE",), "SCMP_ACT_ALLOW")
    assert "socket" not in names((), "SCMP_ACT_ALLOW")


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [("amd64", ("SCMP_ARCH_X86_64",)), ("386", ("SCMP_ARCH_X86",)), ("arm64", ("SCMP_ARCH_AARCH64",)), ("z80", ())],
)
def test_the_system_call_filter_is_for_the_images_architecture(architecture: str, expected: tuple[str, ...]) -> None:
    spec = PodContainerSpec("web", RootfsSource.oci_bundle(bundle(platform=Platform(architecture))))
    seccomp = lowered(spec).linux.seccomp
    assert seccomp is not msgspec.UNSET
    assert seccomp.architectures == expected
