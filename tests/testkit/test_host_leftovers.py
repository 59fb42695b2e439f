"""What the kit takes for left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from firkin.adapters.vmm_namespace.loop_device import attached
from firkin.testkit.host_leftovers import host_leftovers


@pytest.mark.needs_root
def test_a_loop_device_that_the_kernel_gives_back_a_moment_later_is_not_left_behind(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))
    is_attached = threading.Event()

    def hold() -> None:
        with attached(image):
            is_attached.set()
            threading.Event().wait(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_attached.wait(60)
    try:
        assert host_leftovers(tmp_path) == []
    finally:
        holder.join()
