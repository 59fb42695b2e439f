"""Coroutine tests without a plugin, on virtual time; tests with real input and output are marked `real_time`.

No part of a test takes for ever: one that hangs fails, and the others follow.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Generator, Iterator

import hypothesis
import pytest

# How long an example takes is a matter of what else the machine does.
hypothesis.settings.register_profile("firkin", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("firkin")

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them all that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["firkin.testkit", "tests.images.fixtures"]

_DEADLINE_SECONDS = 900.0
"""Far more than the longest takes: tests that run many others, and the making of all images."""
_AGAIN_SECONDS = 60.0


@contextlib.contextmanager
def _deadline() -> Iterator[None]:
    def fail(_signal: int, _frame: object) -> None:
        # The traceback ends in the loop, and does not show where a coroutine waits.
        with contextlib.suppress(RuntimeError):
            for task in asyncio.all_tasks():
                task.print_stack(file=sys.stderr)
        pytest.fail(f"still running after {_DEADLINE_SECONDS:g} s")

    before = signal.signal(signal.SIGALRM, fail)
    # Again and again: what is tidied up then may hang as well.
    signal.setitimer(signal.ITIMER_REAL, _DEADLINE_SECONDS, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup() -> Generator[None]:
    """Set up in time."""
    with _deadline():
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Generator[None]:
    """Run in time."""
    with _deadline():
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None]:
    """Tear down in time."""
    with _deadline():
        yield


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
