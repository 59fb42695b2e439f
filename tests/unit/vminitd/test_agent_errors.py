"""What the agent tells of the system's errors."""

from __future__ import annotations

import errno
import os

import pytest

from firkin.vminitd.services.errors import described


def os_error(filename: str | bytes | int | None) -> OSError:
    """As the system raises it, of what a call was given: a path or a descriptor."""
    return OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), filename)


@pytest.mark.parametrize(
    ("filename", "asked", "told"),
    [
        ("/below/file", "/asked", "/below/file"),
        (b"/below/\xff", "/asked", r"/below/\udcff"),
        ("file", "/asked", "/asked"),
        ("file", "", "file"),
        (17, "/asked", "/asked"),
        (17, "", ""),
        (None, "/asked", "/asked"),
    ],
)
def test_an_error_names_the_path_that_says_most(filename: str | bytes | int | None, asked: str, told: str) -> None:
    _, detail = described(os_error(filename), "apply layer", asked)
    assert (detail.path, detail.errno, detail.reason) == (told, errno.ENOTDIR, "Not a directory")
