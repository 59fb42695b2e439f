"""The life of a pod on the wire, over both services, is the one in `sessions/`: `make sessions` writes them anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firkin.testkit.wire.recording import LEFT

from .record_sessions import ROADS, SESSIONS, recorded_session

pytestmark = pytest.mark.real_time


def _skeleton(text: str) -> list[str]:
    """Which calls there are, in which order, and how they end: what each of them carries may grow."""
    # Whether a stream ends before its host leaves it is nobody's decision.
    lines = text.replace(f"== {LEFT}", "== OK").splitlines()
    return [line for line in lines if line.startswith(("firkin.", "com.", "  ==", "#"))]


@pytest.mark.parametrize("road", ROADS)
async def test_a_pods_life_is_told_by_the_recorded_calls(road: str, tmp_path: Path) -> None:
    text = await recorded_session(road, tmp_path)
    assert _skeleton(text) == _skeleton((SESSIONS / f"{road}.txt").read_text()), "see `make sessions`"
    assert "still going on" not in text


@pytest.mark.parametrize("road", ROADS)
async def test_a_session_holds_no_secret_and_nothing_of_this_machine(road: str, tmp_path: Path) -> None:
    for text in (await recorded_session(road, tmp_path), (SESSIONS / f"{road}.txt").read_text()):
        assert "token: SECRET" in text or road == "sandbox-context"
        assert str(tmp_path) not in text


async def test_what_is_recorded_does_not_disturb_a_pod(tmp_path: Path) -> None:
    async with asyncio.timeout(120):
        text = await recorded_session("agent-v1", tmp_path, "echo a; echo b >&2; exit 3")
    assert "exit_code: 3" in text or "code: 3" in text
