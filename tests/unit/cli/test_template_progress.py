"""What is told of images that become templates."""

from __future__ import annotations

import pytest

from firkin.adapters.cli.template_progress import TemplateProgressDisplay
from firkin.ports.agent_templates import TemplateProgress


def test_what_an_ordinary_user_loses_is_told_once_for_each_image(capsys: pytest.CaptureFixture[str]) -> None:
    with TemplateProgressDisplay(plain_lines=False) as display:
        display(TemplateProgress(0, 1, 5, 10, "oci:a"))
        display(TemplateProgress(0, 1, 10, 10, "oci:a", {"device": 1, "owner": 2, "of a later agent": 3}))
        display.close()
        display(TemplateProgress(0, 1, 10, 10, "oci:b", {"attribute": 1}))
    assert capsys.readouterr().err.splitlines() == [
        "firkin: note: of oci:a, 1 device file is an empty file, 2 files belong to somebody else:"
        " what only root can make is not as it is in the image",
        "firkin: note: of oci:b, 1 extended attribute is missing: what only root can make is not as it is in the image",
    ]


def test_nothing_is_told_where_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with TemplateProgressDisplay(plain_lines=False) as display:
        display(TemplateProgress(0, 1, 10, 10, "oci:a"))
    assert capsys.readouterr().err == ""


def test_each_layer_of_each_image_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with TemplateProgressDisplay(plain_lines=True) as display:
        for reference, layer_count in (("oci:a", 2), ("oci:b", 1)):
            for layer_index in range(layer_count):
                for done_bytes in (1, 2):
                    display(TemplateProgress(layer_index, layer_count, done_bytes, 1024, reference))
    assert capsys.readouterr().err.splitlines() == [
        "firkin: unpacking image, layer 1 of 2 (1 KiB in all)",
        "firkin: unpacking image, layer 2 of 2 (1 KiB in all)",
        "firkin: unpacking image, layer 1 of 1 (1 KiB in all)",
    ]
