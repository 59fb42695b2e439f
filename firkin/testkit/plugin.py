"""The pytest plugin: finds adapters in test modules, runs their contracts, and tells which promises are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from pathlib import Path

import pytest

from .claims import told_refusals
from .contract import CONTRACTS, contract_class
from .coroutines import run_if_coroutine
from .promises import Matrix, Promise, Verdict

_PROPERTY = "firkin promise"
CASES = "firkin cases"
"""Name of a property with which a test of many cases tells a name, their count, and a remark such as its seed."""

_MATRIX = pytest.StashKey[Matrix]()
_CASES = pytest.StashKey[Counter[str]]()

pytest_plugins = ["firkin.testkit.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("firkin", "contracts of firkin's ports")
    group.addoption(
        "--firkin-promises", metavar="FILE", type=Path, help="write the matrix of promises to FILE, as JSON"
    )
    group.addoption(
        "--firkin-deadline",
        metavar="SECONDS",
        type=float,
        default=300.0,
        help="a contract test that takes longer has failed (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_MATRIX] = Matrix()
    config.stash[_CASES] = Counter()
    config.addinivalue_line("markers", "real_time: does real input and output, so the clock must not jump")
    config.addinivalue_line("markers", "many_runs: asyncio's debug mode would take ten times as long as the test")
    config.addinivalue_line("markers", "empty_store: nobody has made a template in the store before")
    config.addinivalue_line("markers", "real_sockets: does real input and output whatever the adapter is")
    config.addinivalue_line("markers", "virtual_time: an adapter that waits for nothing outside its own process")


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Collector | None:
    """A module that has `firkin_vmm` has the contract tests of the port, too."""
    contract = CONTRACTS.get(name)
    if contract is None or not isinstance(collector, pytest.Module):
        return None
    setattr(collector.obj, contract.class_name, contract_class(contract, obj))
    found: pytest.Collector = pytest.Class.from_parent(collector, name=contract.class_name)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note on every contract test which promise it tries."""
    ports = {contract.class_name: contract for contract in CONTRACTS.values()}
    for item in items:
        parent = item.getparent(pytest.Class)
        contract = ports.get(parent.name) if parent is not None else None
        if contract is not None and isinstance(item, pytest.Function) and item.originalname:
            sentence = item.originalname.removeprefix("test_").replace("_", " ")
            item.user_properties.append((_PROPERTY, (contract.port, _adapter(item, contract.fixture), sentence)))


def _adapter(item: pytest.Function, fixture: str) -> str:
    """What the adapter is called: by its fixture's parameter, by its own name, or by the file that names it."""
    chosen: object = item.callspec.params.get(fixture) if hasattr(item, "callspec") else None
    if chosen is None:
        module = item.getparent(pytest.Module)
        chosen = getattr(module.obj, fixture) if module is not None else fixture
    name = chosen if isinstance(chosen, str) else getattr(chosen, "__name__", fixture)
    return f"{item.path.parent.name}/{item.path.stem}" if name == fixture else name


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests of contracts; a project's own are its own affair."""
    is_ours = any(name == _PROPERTY for name, _ in pyfuncitem.user_properties)
    if not is_ours:
        return None
    return run_if_coroutine(pyfuncitem, pyfuncitem.config.getoption("--firkin-deadline"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that met a clean refusal of something that is not claimed says so."""
    report = yield
    if call.when == "call" and (refused := told_refusals()):
        report.user_properties.append(("firkin refused", refused))
    return report


def _verdict(report: pytest.TestReport) -> Verdict | None:
    if report.failed:
        return Verdict.BROKEN
    if report.skipped:
        return Verdict.SKIPPED
    if report.when != "call":
        return None
    return Verdict.NOT_CLAIMED if "firkin refused" in dict(report.user_properties) else Verdict.KEPT


class _Collected:
    """Puts reports into the matrix; a plugin of its own, because reports come without a configuration."""

    def __init__(self, matrix: Matrix, cases: Counter[str]) -> None:
        self._matrix = matrix
        self._cases = cases

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        promise, verdict = dict(report.user_properties).get(_PROPERTY), _verdict(report)
        if isinstance(promise, tuple | list) and verdict is not None:
            self._matrix.add(Promise(*promise), verdict)
        counted = dict(report.user_properties).get(CASES)
        if report.when == "call" and isinstance(counted, tuple | list):
            name, count, remark = counted
            self._cases[f"{name}: {{}} cases, {remark}"] += int(str(count))


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Collected(session.config.stash[_MATRIX], session.config.stash[_CASES]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the matrix: a line per adapter, and every promise with -v."""
    matrix = config.stash[_MATRIX]
    path: Path | None = config.getoption("--firkin-promises")
    if path is not None:
        matrix.write(path)
    if matrix:
        terminalreporter.section("firkin: promises kept")
        for line in matrix.lines(in_full=config.get_verbosity() > 0):
            terminalreporter.write_line(line)
    for text, count in config.stash[_CASES].items():
        terminalreporter.write_line(text.format(count))
