"""Whether this host's kernel keeps project quotas, by what it is said to be made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firkin.adapters.store_ext4.kernel_quotas import kernel_keeps_project_quotas


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/fs/quota/quota_v2.ko\n", True),
        ("modules.dep", "kernel/fs/quota/quota_v2.ko.xz: kernel/fs/quota/quota_tree.ko.xz\n", True),
        ("modules.dep", "kernel/fs/other.ko: kernel/fs/quota/quota_v2.ko\nkernel/fs/quota/quota_v1.ko:\n", False),
        ("modules.alias", "kernel/fs/quota/quota_v2.ko", False),
    ],
)
def test_the_format_of_quotas_is_built_in_or_a_module(tmp_path: Path, name: str, text: str, expected: bool) -> None:
    directory = tmp_path / os.uname().release
    directory.mkdir()
    (directory / name).write_text(text)
    assert kernel_keeps_project_quotas(tmp_path) is expected


def test_a_kernel_of_which_nothing_is_known_keeps_none(tmp_path: Path) -> None:
    assert kernel_keeps_project_quotas(tmp_path) is False
