"""The counts of calls in docs/performance.md are those of the golden sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.testkit.record_sessions import SESSIONS

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_BEGINNING = ("firkin.", "com.")


def _calls(road: str) -> list[tuple[str, str]]:
    """The calls of a session in their order, by method, with what was said; waits, which lie beside them, not."""
    text = (SESSIONS / f"{road}.txt").read_text().partition("# beside these")[0]
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(_BEGINNING):
            found.append((line.rpartition("/")[2], ""))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def _cut(calls: Sequence[tuple[str, str]], lasts: Sequence[str]) -> Iterator[int]:
    """How many calls there are up to and with each of these, one after the other."""
    methods = iter(name for name, _ in calls)
    for last in lasts:
        yield 1 + next(count for count, name in enumerate(methods) if name == last)


def _over_sandbox_context() -> list[int]:
    calls = _calls("sandbox-context")[1:]
    template = next(index for index, (_, said) in enumerate(calls) if "templates/sha256-" in said)
    made, start = _cut(calls[template:], ["WriteFile", "StartProcess"])
    # After writing a file, and the start of the second container: its removal, and the exec.
    rest = calls[template + made + start :]
    _, _, removal, execution = _cut(rest, ["Copy", "StartProcess", "RemovePath", "DeleteProcess"])
    return [template, made, start, execution + 1, removal]


def _over_agent_v1() -> list[int]:
    methods = [name for name, _ in _calls("agent-v1")]
    one_call = [methods.index(name) for name in ("PreparePod", "EnsureTemplate", "StartContainer")]
    assert one_call == [1, 2, 3]
    execution = methods[methods.index("StartProcess") : methods.index("RemoveProcess") + 1]
    return [1, 1, 1, len(execution) + 1, 1]


def test_the_page_tells_how_many_calls_each_step_takes() -> None:
    rows = re.findall(r"^\|[^|]*\| (\d+)[^|]*\| (\d+) \|$", _PAGE.read_text(), re.MULTILINE)
    assert len(rows) == 5
    assert [int(first) for first, _ in rows] == _over_agent_v1()
    assert [int(second) for _, second in rows] == _over_sandbox_context()
