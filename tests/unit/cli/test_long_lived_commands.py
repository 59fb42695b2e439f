"""Commands on pods that go on by themselves, over a registry in memory."""

from __future__ import annotations

import json
import time

import pytest
from msgspec.structs import replace

from firkin.adapters.cli.record_text import age, formatted
from firkin.adapters.cli.usage_table import cpu_percent, usage_row
from firkin.adapters.memory import MemoryPodRegistry
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.process import ExitStatus
from firkin.domain.statistics import ContainerStatistics, CpuStatistics, InterfaceStatistics, MemoryStatistics
from firkin.domain.supervised_pod import ContainerSummary, PodRecord, SupervisedPhase

from .long_lived import run_over


@pytest.fixture
def registry() -> MemoryPodRegistry:
    """A pod of two containers that ended with 3, one that was abandoned, and what they wrote."""
    registry = MemoryPodRegistry()
    now = time.time()
    containers = (
        ContainerSummary(ContainerId("init"), is_init=True, status=ExitStatus(0)),
        ContainerSummary(ContainerId("app"), "oci:images:app", status=ExitStatus(3), restarts=2),
        ContainerSummary(ContainerId("side"), "oci:images:side", status=ExitStatus(0)),
    )
    web = PodRecord(id=PodId("web"), containers=containers, source="pod.yaml", created=now - 9e5, ended=now - 7300)
    for record, phase in ((web, SupervisedPhase.EXITED), (PodRecord(id=PodId("lost")), SupervisedPhase.RUNNING)):
        with registry.claimed(record) as claimed:
            claimed.save(replace(record, phase=phase))
    app = registry.logs.opened(PodId("web"), ContainerId("app"), 10_000)
    side = registry.logs.opened(PodId("web"), ContainerId("side"), 10_000)
    app.append("stdout", b"one\ntw", 100.0)
    side.append("stderr", b"warning\n", 101.0)
    side.append("stdout", b"between\n", 102.0)
    app.append("stdout", b"o\nthree", 103.5)
    return registry


def test_ps_shows_those_that_run_and_with_a_all(registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_over(registry, "ps") == 0
    assert len(capfd.readouterr().out.splitlines()) == 1
    assert run_over(registry, "ps", "-a") == 0
    _, lost, web = capfd.readouterr().out.splitlines()
    assert "abandoned" in lost
    assert " ".join(web.split()) == "web pod.yaml app,side exited (3) 2 hours ago - 2 10 days ago"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["status=exited"], "web"),
        (["status=exited", "status=abandoned"], "lost web"),
        (["status=exited", "name=los"], ""),
        (["image=images:app"], "web"),
        (["container=side"], "web"),
    ],
)
def test_ps_filters(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], filters: list[str], names: str
) -> None:
    assert run_over(registry, "ps", "-aq", *(word for one in filters for word in ("--filter", one))) == 0
    assert capfd.readouterr().out.split() == names.split()


def test_ps_refuses_filters_that_there_are_not(registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_over(registry, "ps", "--filter", "colour=red") == 2
    assert "status=..." in capfd.readouterr().err
    assert run_over(registry, "ps", "--filter", "status=exitd") == 2
    assert "'exitd' is no status; there are: starting, running" in capfd.readouterr().err


@pytest.mark.parametrize(("source", "destination"), [("", "web:/srv"), ("web:", "."), ("web:/srv", "")])
def test_an_empty_path_is_not_everything_that_there_is(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], source: str, destination: str
) -> None:
    assert run_over(registry, "cp", source, destination) == 2
    assert "a path is empty" in capfd.readouterr().err


def test_inspect_is_json_and_a_template_takes_fields_out(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_over(registry, "inspect", "web", "lost") == 0
    web, lost = json.loads(capfd.readouterr().out)
    assert (web["exit_code"], web["containers"][1]["restarts"]) == (3, 2)
    assert (lost["exit_code"], lost["phase"]) == (125, "abandoned")
    template = "{{.id}}={{ .containers.app.status.code }} {{json .containers.0.is_init}} {{.containers.side.ready}}"
    assert run_over(registry, "inspect", "--format", template, "web") == 0
    assert capfd.readouterr().out == "web=3 true false\n"
    assert run_over(registry, "inspect", "--format", "{{.colour}}", "web") == 2
    assert "there is no field 'colour'" in capfd.readouterr().err


@pytest.mark.parametrize("template", ["{{.phase", ".phase}}", "{{phase}}", "{{ .phase }} {{", "{{range .containers}}"])
def test_braces_that_name_no_field_are_refused(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], template: str
) -> None:
    assert run_over(registry, "inspect", "--format", template, "web") == 2
    assert "has braces that name no field" in capfd.readouterr().err


def test_lines_of_several_containers_come_in_order_with_their_names(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_over(registry, "logs", "-f", "web") == 0
    told = capfd.readouterr()
    assert told.out.splitlines() == ["app  | one", "side | between", "app  | two", "app  | three"]
    assert told.err == "side | warning\n"


def test_bytes_of_one_container_come_as_they_are_and_with_moments_line_by_line(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_over(registry, "logs", "-c", "app", "web") == 0
    assert capfd.readouterr().out == "one\ntwo\nthree"
    assert run_over(registry, "logs", "-t", "-c", "app", "web") == 0
    assert capfd.readouterr().out.splitlines() == [
        "1970-01-01T00:01:40.000000Z one",
        "1970-01-01T00:01:43.500000Z two",
        "1970-01-01T00:01:43.500000Z three",
    ]
    assert run_over(registry, "logs", "--since", "1970-01-01T00:01:42Z", "--tail", "1", "-c", "app", "web") == 0
    assert capfd.readouterr().out == "three"
    assert run_over(registry, "logs", "--since", "10m", "web") == 0
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("moment", ["0", "-1e300", "-inf", f"{'9' * 400}d", "0001-01-01T00:00:00Z"])
def test_everything_came_since_moments_of_long_ago(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], moment: str
) -> None:
    assert run_over(registry, "logs", f"--since={moment}", "-c", "app", "web") == 0
    assert capfd.readouterr().out == "one\ntwo\nthree"


@pytest.mark.parametrize("moment", ["yesterday", "", "nan", "inf", "1e30", "0001-01-01"])
def test_what_is_no_moment_is_refused(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], moment: str
) -> None:
    assert run_over(registry, "logs", f"--since={moment}", "web") == 2
    assert "is no moment" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["logs", "nobody"], "there is no pod 'nobody'"),
        (["logs", "-c", "x", "web"], "pod 'web' has no container 'x'"),
        (["exec", "nobody", "true"], "there is no pod 'nobody'"),
        (["exec", "web", "true"], "pod 'web' has containers app, side: name one with -c"),
        (["exec", "-c", "app", "web", "true"], "pod 'web' is exited, not running"),
        (["attach", "-c", "app", "web"], "pod 'web' is exited, not running"),
        (["cp", "lost:/a", "."], "pod 'lost' has no containers"),
        (["stats", "web"], "pod 'web' is exited, not running"),
        (["stats", "lost"], "the supervisor of pod 'lost' was killed"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run_over(registry, *arguments) == 125
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"firkin: error: {told}")


def test_each_of_several_pods_is_done_and_what_fails_is_told(
    registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_over(registry, "wait", "web", "nobody") == 1
    told = capfd.readouterr()
    assert (told.out, "there is no pod 'nobody'" in told.err) == ("3\n", True)
    assert run_over(registry, "stop", "web") == 0
    assert run_over(registry, "kill", "web") == 1
    assert run_over(registry, "rm", "web", "../web") == 1
    assert [record.id for record in registry.records()] == ["lost"]
    assert run_over(registry, "rm", "-f", "lost", "nobody") == 0
    assert registry.records() == ()


@pytest.mark.parametrize("signal", ["HUP", "sighup", "1", "RTMIN+3"])
def test_signals_have_names_and_numbers(registry: MemoryPodRegistry, signal: str) -> None:
    assert run_over(registry, "kill", "-s", signal, "web") == 1  # the pod has ended; the name is fine


@pytest.mark.parametrize("signal", ["FOO", "0", "-1", "99999", "²"])
def test_what_is_no_signal_is_refused(registry: MemoryPodRegistry, signal: str) -> None:
    assert run_over(registry, "kill", "-s", signal, "web") == 2


def test_nothing_left_over_is_said(registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_over(registry, "gc") == 0
    assert capfd.readouterr().out == "nothing is left over\n"
    assert run_over(registry, "gc", "--json", "--dry-run") == 0
    assert json.loads(capfd.readouterr().out) == []


def test_restarting_needs_a_supervisor(registry: MemoryPodRegistry, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_over(registry, "run", "--restart", "always", "oci:images") == 125
    assert "give -d, too" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0 seconds"), (1, "1 second"), (119, "119 seconds"), (7300, "2 hours"), (9e5, "10 days")],
)
def test_ages_have_one_unit(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_a_template_without_fields_is_itself() -> None:
    assert formatted("{x} {", {"x": 1}) == "{x} {"
    assert formatted("{{.}}", {"x": None}) == '{"x": null}'


def test_processor_time_is_told_by_the_difference_and_what_is_unknown_as_such() -> None:
    before = ContainerStatistics("a", 10.0, CpuStatistics(usage_usec=1_000_000))
    now = ContainerStatistics(
        "a",
        12.0,
        CpuStatistics(usage_usec=4_000_000),
        MemoryStatistics(usage_bytes=3 * 2**20, inactive_file_bytes=2**20, limit_bytes=2**30),
        interfaces=(InterfaceStatistics("lo", 1024, 2048, 1, 1, 0, 0),),
    )
    assert cpu_percent(before, now) == 150.0
    assert cpu_percent(None, now) is None
    assert cpu_percent(now, before) is None
    assert usage_row("web", before, now) == ("web", "a", "150.00", "2 MiB", "1 GiB", "1 KiB / 2 KiB", "- / -", "-")
