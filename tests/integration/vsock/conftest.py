"""A device in a directory of its own, and a guest for it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from firkin._fast.vsock import VsockDevice

from .guest import Guest
from .packets import GUEST_CID


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, since sockets have short ones."""
    path = Path(tempfile.mkdtemp(prefix="firkin-vsock-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def device(directory: Path) -> Iterator[VsockDevice]:
    with VsockDevice(directory / "vhost.sock", GUEST_CID, directory) as device:
        yield device


@pytest.fixture
def guest(device: VsockDevice, directory: Path) -> Iterator[Guest]:
    with Guest(directory / "vhost.sock") as guest:
        guest.post_buffers()
        yield guest
        assert guest.memory.canaries_are_whole()
