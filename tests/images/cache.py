"""The cache of made images: one directory per image and state of its makers."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .tools import say

_HERE = Path(__file__).parent


def cache_directory() -> Path:
    """Where images are kept."""
    chosen = os.environ.get("FIRKIN_TEST_IMAGES")
    return Path(chosen).absolute() if chosen else _HERE.parent.parent / ".cache" / "images"


def cached(name: str, make: Callable[[Path], None], sources: tuple[str, ...]) -> Path:
    """Return the directory that `make` filled, making it now when it is absent.

    It is made aside and renamed; of two processes that want it, one makes it and the other waits.

    Args:
        name: of the image.
        make: fills an empty directory.
        sources: the files of this package that decide what `make` makes.
    """
    cache = cache_directory()
    target = cache / f"{name}-{_key(sources)}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{name}.lock"):
        if target.is_dir():
            return target
        for left_over in cache.glob(f".{name}-*.partial"):
            shutil.rmtree(left_over)
        aside = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=".partial", dir=cache))
        aside.chmod(0o755)
        began = time.monotonic()
        say(f"making the test image {name} (once; kept in {target})")
        try:
            make(aside)
            aside.rename(target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        say(f"the test image {name} is ready after {time.monotonic() - began:.1f} s")
    return target


def _key(sources: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update((_HERE / source).read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
