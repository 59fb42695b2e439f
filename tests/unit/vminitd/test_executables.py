"""What is said of commands before they are started."""

from __future__ import annotations

from pathlib import Path

import pytest

from firkin.domain.errors import UnsupportedFeature
from firkin.vminitd import executables
from firkin.vminitd.executables import Command, check_executable


def test_a_container_that_wants_an_init_is_refused_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executables, "CONTAINER_INIT_PROGRAM", str(tmp_path / "absent"))
    check_executable("/", Command("true", "/", "/bin:/usr/bin"))
    with pytest.raises(UnsupportedFeature, match="apt-get install catatonit"):
        check_executable("/", Command("true", "/", "/bin:/usr/bin", has_init=True))
