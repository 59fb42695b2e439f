"""The cache of test images."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ...images.cache import cached

SOURCES = ("cache.py",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIRKIN_TEST_IMAGES", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_of_two_makers_at_once_one_makes_and_both_get_the_image() -> None:
    made: list[Path] = []
    both_ask = threading.Barrier(2)

    def make(directory: Path) -> None:
        made.append(directory)
        (directory / "file").write_text("made")

    def ask() -> Path:
        both_ask.wait()
        return cached("image", make, SOURCES)

    with ThreadPoolExecutor(2) as threads:
        first, second = (future.result() for future in [threads.submit(ask), threads.submit(ask)])

    assert first == second
    assert (first / "file").read_text() == "made"
    assert len(made) == 1


def test_a_failed_maker_leaves_nothing(cache: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("made")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        cached("image", fail, SOURCES)

    assert [path.name for path in cache.iterdir()] == ["image.lock"]


def test_what_a_killed_maker_left_is_removed(cache: Path) -> None:
    left_over = cache / ".image-killed.partial"
    left_over.mkdir(parents=True)

    cached("image", lambda directory: None, SOURCES)

    assert not left_over.exists()


def test_a_changed_maker_makes_anew() -> None:
    assert cached("image", lambda directory: None, SOURCES) != cached("image", lambda directory: None, ("tools.py",))
