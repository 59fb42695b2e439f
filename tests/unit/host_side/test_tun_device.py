"""The device of user networks, as it is found; what an ordinary user meets is tested by one."""

from __future__ import annotations

from pathlib import Path

from firkin.host_side.tun_device import tun_obstacle


def test_a_device_that_is_not_there_comes_with_its_module(tmp_path: Path) -> None:
    obstacle = tun_obstacle(tmp_path / "tun")
    assert obstacle == (f"there is no {tmp_path}/tun", "sudo modprobe tun")


def test_one_that_may_be_opened_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "tun").touch()
    assert tun_obstacle(tmp_path / "tun") is None
