"""What every agent promises, over memory and over both services of vminitd."""

from __future__ import annotations

from pathlib import Path

import pytest

from .roads import AGENT_V1, IN_MEMORY, SANDBOX_CONTEXT, Road


@pytest.fixture(params=[IN_MEMORY])
def firkin_agent(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)


@pytest.fixture(params=[AGENT_V1, SANDBOX_CONTEXT])
def firkin_guest_agent(request: pytest.FixtureRequest, tmp_path: Path) -> Road:
    return Road(str(request.param), tmp_path)
