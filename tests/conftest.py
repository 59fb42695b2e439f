"""Coroutine tests without a plugin, on virtual time; tests with real input and output are marked `real_time`."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["firkin.testkit", "tests.images.fixtures"]


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test on a loop of its own; those of contracts are run by the plug-in."""
    # Not before pytest has the plug-in, or the assertions in it would tell less.
    from firkin.testkit.coroutines import run_if_coroutine

    return run_if_coroutine(pyfuncitem)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What an ordinary user meets is tested by one: tests/integration/unprivileged/test_users.py."""
    if os.geteuid() == 0:
        left_out = [item for item in items if item.get_closest_marker("needs_user")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: what a test needs can be installed."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not accept: {report.longrepr}"
    return report
