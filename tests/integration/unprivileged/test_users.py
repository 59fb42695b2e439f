"""Fresh ordinary users run pods: the tests of root's pods as far as they apply, and those of what is different."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.images.cache import cache_directory
from tests.integration.pod.test_user_network import check_user_network
from tests.unprivileged import without_namespaces
from tests.unprivileged.nested_tests import make_images_readable, run_tests
from tests.unprivileged.users import UnprivilegedUser, fresh_user, grant_ids
from tests.vm.machines import guest_images

_PODS = "tests/integration/pod"
_KEPT_BY_ALL = (
    "expectations", "files_and_statistics", "host_paths", "init", "limits", "manifests", "output", "pod",
    "shared_processes", "surroundings", "sync_pod", "volume_limits", "volume_parts",
)  # fmt: skip
# A dozen services tell nothing of who runs them that the two of `manifests` do not.
_KEPT_BY_MANY_AT_ONCE = ("hostile_containers", "sharing")
_KEPT_OVER_SANDBOX_CONTEXT = ("files_and_statistics", "manifests", "output", "pod")
_KEPT_WITH_ONE_ID = (
    "expectations", "files_and_statistics", "host_paths", "manifests", "output", "pod", "surroundings", "sync_pod",
)  # fmt: skip
_COMMANDS = "tests/end_to_end"
_COMMANDS_WITH_IDS = (
    "test_attached.py", "test_images.py", "test_terminal.py",
    "test_run.py::test_options_may_stand_before_and_after_the_image",
    "test_run.py::test_without_a_command_the_image_says_what_runs",
    "test_run.py::test_the_second_run_starts_from_the_template",
)  # fmt: skip
_COMMANDS_WITH_ONE_ID = (
    "test_run.py", "test_long_lived.py::test_the_whole_life_of_a_pod",
    "test_pod_run.py::test_the_hello_pod_exchanges_a_file_and_a_message",
)  # fmt: skip
_LASTING_COMMANDS = ("test_long_lived.py", "test_pod_run.py")
_KILLED_COMMANDS = ("test_gc.py",)
_FOR_USERS = "tests/integration/unprivileged/test_what_users_meet.py"
_SECONDS = 300


@pytest.fixture
def user() -> Iterator[UnprivilegedUser]:
    """A user with subordinate ids."""
    with fresh_user(has_ids=True) as made:
        yield made


@pytest.fixture
def another_user() -> Iterator[UnprivilegedUser]:
    """One more with ranges of his own."""
    with fresh_user(has_ids=True) as made:
        yield made


@pytest.fixture
def user_of_one_id() -> Iterator[UnprivilegedUser]:
    """A user without."""
    with fresh_user(has_ids=False) as made:
        yield made


def test_pods_of_a_user_keep_what_those_of_root_keep(user: UnprivilegedUser) -> None:
    assert " passed" in run_tests(user, [f"{_PODS}/test_{name}.py" for name in _KEPT_BY_ALL])


def test_many_programs_of_a_user_get_on_as_those_of_root(user: UnprivilegedUser) -> None:
    assert " passed" in run_tests(user, [f"{_PODS}/test_{name}.py" for name in _KEPT_BY_MANY_AT_ONCE])


def test_pods_of_a_user_with_one_id_keep_what_takes_no_other(user_of_one_id: UnprivilegedUser) -> None:
    assert " passed" in run_tests(user_of_one_id, [f"{_PODS}/test_{name}.py" for name in _KEPT_WITH_ONE_ID])


def test_pods_of_a_user_do_over_the_first_service_what_they_do_over_firkins_own(user: UnprivilegedUser) -> None:
    suites = [f"{_PODS}/test_{name}.py" for name in _KEPT_OVER_SANDBOX_CONTEXT]
    assert " passed" in run_tests(user, suites, service="SandboxContext")


def test_what_is_different_for_a_user(user: UnprivilegedUser) -> None:
    assert " passed" in run_tests(user, [_FOR_USERS])


def test_what_is_different_for_a_user_with_one_id(user_of_one_id: UnprivilegedUser) -> None:
    assert " passed" in run_tests(user_of_one_id, [_FOR_USERS])


def test_the_commands_of_two_users_at_once_do_what_those_of_root_do(
    user: UnprivilegedUser, user_of_one_id: UnprivilegedUser
) -> None:
    _run_at_once({user: _COMMANDS_WITH_IDS, user_of_one_id: _COMMANDS_WITH_ONE_ID})


def test_pods_of_two_users_at_once_go_on_by_themselves_and_leave_what_is_removed(
    user: UnprivilegedUser, another_user: UnprivilegedUser
) -> None:
    _run_at_once({user: _LASTING_COMMANDS, another_user: _KILLED_COMMANDS})


def _run_at_once(suites: Mapping[UnprivilegedUser, Sequence[str]]) -> None:
    with ThreadPoolExecutor(len(suites)) as threads:
        running = [
            threads.submit(run_tests, who, [f"{_COMMANDS}/{name}" for name in names]) for who, names in suites.items()
        ]
    for one in running:
        assert " passed" in one.result()


def test_pods_of_a_user_reach_the_network(user: UnprivilegedUser) -> None:
    make_images_readable()
    program = [sys.executable, "-m", "tests.integration.pod.networked_machine", f"{user.home}/n"]
    check_user_network(user.command(*program, FIRKIN_TEST_IMAGES=str(cache_directory())))


def test_control_groups_that_were_delegated_are_used(user: UnprivilegedUser) -> None:
    """In a view that has version 2 alone, as most machines have it."""
    delegating = Path(__file__).with_name("delegating.sh")
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", str(delegating), str(user.uid)]
    assert " passed" in run_tests(user, ["tests/integration/unprivileged/test_delegated_groups.py"], prefix=prefix)


def test_doctor_names_the_command_that_gives_a_user_ids_and_it_does(user_of_one_id: UnprivilegedUser) -> None:
    checks = _doctor(user_of_one_id)
    assert checks["subordinate ids"]["verdict"] == "note"
    assert "--add-subuids" in checks["subordinate ids"]["remedy"]
    assert checks["subordinate ids"]["remedy"].endswith(user_of_one_id.name)
    assert checks["user namespaces"]["verdict"] == "ok"
    grant_ids(user_of_one_id)
    assert _doctor(user_of_one_id)["subordinate ids"]["verdict"] == "ok"


def test_where_user_namespaces_are_not_allowed_the_setting_is_told(user: UnprivilegedUser, busybox_image: str) -> None:
    make_images_readable()
    prefix = [sys.executable, without_namespaces.__file__]
    checks = _doctor(user, prefix, code=1)
    assert checks["user namespaces"]["verdict"] == "missing"
    assert checks["user namespaces"]["remedy"] == "sudo sysctl -w user.max_user_namespaces=15000"
    done = _firkin(user, "run", busybox_image, "--", "true", prefix=prefix)
    assert done.returncode == 125
    assert "no permission to make a user namespace" in done.stderr
    assert "sudo sysctl -w user.max_user_namespaces=15000" in done.stderr


def _doctor(user: UnprivilegedUser, prefix: list[str] | None = None, code: int = 0) -> dict[str, dict[str, str]]:
    done = _firkin(user, "doctor", "--json", prefix=prefix)
    assert done.returncode == code, done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def _firkin(
    user: UnprivilegedUser, *arguments: str, prefix: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [*(prefix or ()), *user.command(sys.executable, "-m", "firkin", *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/")


def test_the_command_runs_a_container_and_keeps_its_template_below_the_users_home(
    user: UnprivilegedUser, busybox_image: str
) -> None:
    make_images_readable()
    done = _firkin(user, "run", busybox_image, "--", "sh", "-c", "id -u; exit 7")
    assert (done.returncode, done.stdout) == (7, "0\n"), done.stderr
    (template,) = user.home.glob(".local/state/firkin/store/templates/sha256-*")
    assert template.stat().st_uid == user.uid
    assert os.listdir(user.home / ".local/state/firkin/run") == []
    pruned = _firkin(user, "image", "prune", "--keep-bytes", "0")
    assert pruned.returncode == 0, pruned.stderr
    assert not template.exists()


def test_a_user_without_further_ids_runs_a_virtual_machine_with_all_ids_inside(
    user_of_one_id: UnprivilegedUser, busybox_image: str
) -> None:
    make_images_readable()
    asyncio.run(guest_images().image())
    state = user_of_one_id.home / ".local/state/firkin"
    script = f'mkdir -p {state} && ln -s {cache_directory().parent / "guest"} {state / "guest"} && exec "$@"'
    # The image of root's tests, which was made for their PATH.
    path = {"PATH": os.environ["PATH"]}
    command = (sys.executable, "-m", "firkin", "run", "--vmm", "qemu", "--memory", "256MiB", busybox_image)
    inside = "id -u; chown 1000 /etc/passwd && stat -c %u /etc/passwd; cat; exit 7"
    done = subprocess.run(
        user_of_one_id.command("sh", "-c", script, "sh", *command, "--", "sh", "-c", inside, **path),
        capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/", input="typed\n",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (7, "0\n1000\ntyped\n"), done.stderr
    assert os.listdir(state / "run") == []
    assert os.listdir(state / "pod-stores") == []
