"""The life of a pod on the wire, over both services; `make sessions` writes the golden sessions anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .record_sessions import ROADS, SESSIONS, recorded_session

pytestmark = pytest.mark.real_time


STEPS = {
    "agent-v1": (
        "GetInfo", "PreparePod", "EnsureTemplate", "StartContainer", "WriteFile", "StartContainer", "RemoveContainer",
        "StartProcess", "RemoveProcess", "FilesystemUsage", "RemoveContainer", "TearDownPod",
    ),
    "sandbox-context": (
        "GetInfo", "Mount", "ApplyOciLayer", "Mount", "CreateProcess", "StartProcess", "Mount", "CreateProcess",
        "StartProcess", "DeleteProcess", "CreateProcess", "StartProcess", "DeleteProcess", "FilesystemUsage", "Umount",
    ),
}  # fmt: skip
"""What has to be in a session, in this order; `make check-sessions` compares every call."""


def _methods(text: str) -> list[str]:
    return [line.rpartition("/")[2] for line in text.splitlines() if line.startswith(("firkin.", "com."))]


@pytest.mark.parametrize("road", ROADS)
async def test_a_pods_life_has_its_steps_in_order_now_and_in_the_golden_session(road: str, tmp_path: Path) -> None:
    recorded = await recorded_session(road, tmp_path)
    for text in (recorded, (SESSIONS / f"{road}.txt").read_text()):
        methods = iter(_methods(text))
        assert [step for step in STEPS[road] if step not in methods] == []
        assert text.count("  == OK") > len(STEPS[road])
    assert "still going on" not in recorded


@pytest.mark.parametrize("road", ROADS)
async def test_a_session_holds_no_secret_and_nothing_of_this_machine(road: str, tmp_path: Path) -> None:
    for text in (await recorded_session(road, tmp_path), (SESSIONS / f"{road}.txt").read_text()):
        assert "token: SECRET" in text or road == "sandbox-context"
        assert str(tmp_path) not in text


async def test_what_is_recorded_does_not_disturb_a_pod(tmp_path: Path) -> None:
    async with asyncio.timeout(120):
        text = await recorded_session("agent-v1", tmp_path, "echo a; echo b >&2; exit 3")
    assert "exit_code: 3" in text or "code: 3" in text
