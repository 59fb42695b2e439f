"""What is said where no control group holds a limit."""

from __future__ import annotations

from firkin.domain.control_groups import missing_controller


def test_an_ordinary_user_is_told_the_command_that_gives_him_limits() -> None:
    told = missing_controller("memory", is_root=False)
    assert told.startswith("no memory control group is delegated to this user: ")
    assert "systemd-run --user --scope -p Delegate=yes firkin" in told
    assert "--vmm qemu" in told


def test_root_is_told_that_the_machine_has_none() -> None:
    assert missing_controller("cpu", is_root=True) == "no cpu control group can be made on this machine"
