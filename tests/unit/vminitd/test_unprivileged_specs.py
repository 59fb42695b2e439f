"""What the agent fits into a runtime spec, or refuses of it, without privilege."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from firkin.errors import UnsupportedFeature, UserNotMapped
from firkin.vminitd.control_groups import are_writable, usable_controllers
from firkin.vminitd.unprivileged_spec import mapped_groups_option, refuse_limits, refuse_unmapped_user


def _resources(**settings: object) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in settings.items()}


def test_a_group_without_mapping_is_left_out_of_mount_options() -> None:
    options = ("nosuid", "gid=5", "mode=0620", "uid=5")
    assert mapped_groups_option(options, range(1)) == ["nosuid", "mode=0620", "uid=5"]
    assert mapped_groups_option(options, range(6)) == list(options)


def test_users_and_groups_without_mapping_are_refused_by_name() -> None:
    refuse_unmapped_user("app", 1000, (1000, 5), range(1001), range(1001))
    with pytest.raises(UserNotMapped) as user:
        refuse_unmapped_user("app", 1000, (0,), range(1), range(1))
    assert (user.value.user, user.value.unmapped_id) == ("app", "uid 1000")
    with pytest.raises(UserNotMapped) as group:
        refuse_unmapped_user("", 0, (0, 7), range(1), range(1))
    assert (group.value.user, group.value.unmapped_id) == ("0", "gid 7")


@pytest.mark.parametrize(("controller", "setting"), [("memory", "limit"), ("cpu", "quota"), ("pids", "limit")])
def test_limits_that_nothing_enforces_are_refused(controller: str, setting: str) -> None:
    limited = _resources(**{controller: {setting: 4096}})
    refuse_limits(limited, {controller})
    with pytest.raises(UnsupportedFeature, match=f"{controller} limit is not supported here: no {controller} control"):
        refuse_limits(limited, set())
    for unlimited in ({setting: -1}, {setting: 0}, {}, {"other": 5}):
        refuse_limits(_resources(**{controller: unlimited}), set())
    refuse_limits({}, set())


def test_a_machine_without_control_groups_has_no_controllers(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        assert not are_writable(str(root))
        assert usable_controllers(str(root)) == frozenset()


def test_controllers_are_those_of_groups_that_may_be_written_to(tmp_path: Path) -> None:
    first = tmp_path / "first"
    for name in ("memory", "pids"):
        (first / name).mkdir(parents=True)
        (first / name / "cgroup.procs").touch()
    (first / "unified").mkdir()
    assert usable_controllers(str(first)) == {"memory", "pids"}
    second = tmp_path / "second"
    second.mkdir()
    (second / "cgroup.controllers").write_text("cpu memory\n")
    assert not are_writable(str(second))
    (second / "cgroup.procs").touch()
    assert usable_controllers(str(second)) == {"cpu", "memory"}
