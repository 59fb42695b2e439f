from __future__ import annotations

import os
from pathlib import Path

import pytest

from firkin.user_namespace import id_map_of_user, namespace_obstacle, user_name
from firkin.user_namespace import subordinate_ids as files
from firkin.user_namespace.subordinate_ids import granting_command, subordinate_ranges

NOBODY = 4_000_000_001


@pytest.fixture
def granted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for /etc/subuid and /etc/subgid."""
    path = tmp_path / "subuid"
    monkeypatch.setattr(files, "USERS_FILE", path)
    monkeypatch.setattr(files, "GROUPS_FILE", path)
    return path


def test_ranges_are_found_by_name_and_by_number_in_their_order(granted: Path) -> None:
    granted.write_text("root:100000:10\nother:200000:10\n\n# none\n0:300000:20\nroot:x:5\nroot:1\nroot:7:0\n")
    assert subordinate_ranges(granted, 0) == [(100000, 10), (300000, 20)]
    assert subordinate_ranges(granted, NOBODY) == []
    assert subordinate_ranges(granted.with_name("missing"), 0) == []


def test_the_command_grants_ids_that_nobody_has(granted: Path) -> None:
    granted.write_text("a:100000:65536\nb:300000:65536\n")
    ids = "365536-431071"
    assert granting_command(0) == f"sudo usermod --add-subuids {ids} --add-subgids {ids} root"
    granted.unlink()
    assert "100000-165535" in granting_command(0)


def test_who_is_in_no_list_of_users_goes_by_his_number() -> None:
    assert user_name(NOBODY) == str(NOBODY)


def test_without_the_programs_that_grant_ids_there_is_one(tmp_path: Path) -> None:
    id_map = id_map_of_user(str(tmp_path))
    assert id_map.is_single
    assert str(id_map.users) == f"0 {os.geteuid()} 1"
    assert (id_map.shortfall, id_map.remedy) == (
        "newuidmap and newgidmap not installed",
        "sudo apt-get install uidmap",
    )


def test_there_is_always_advice() -> None:
    assert namespace_obstacle()
