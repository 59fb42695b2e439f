from __future__ import annotations

import pytest
from msgspec.structs import replace

from firkin.domain.errors import ContainerAmbiguous, ContainerNotFound
from firkin.domain.ids import ContainerId, PodId
from firkin.domain.lifecycle import ContainerPhase
from firkin.domain.process import ExitReason, ExitStatus
from firkin.domain.supervised_pod import ContainerSummary, PodRecord, SupervisedPhase


def _container(name: str, code: int | None = None, *, is_init: bool = False) -> ContainerSummary:
    status = None if code is None else ExitStatus(code)
    return ContainerSummary(ContainerId(name), is_init=is_init, status=status)


def _record(*containers: ContainerSummary, phase: SupervisedPhase = SupervisedPhase.EXITED) -> PodRecord:
    return PodRecord(id=PodId("pod-1"), phase=phase, containers=containers)


def test_the_exit_code_is_that_of_the_first_container_that_failed() -> None:
    assert _record(_container("a", 0), _container("b", 3), _container("c", 4)).exit_code == 3
    assert _record(_container("a", 0), _container("b")).exit_code == 0
    assert _record(_container("init", 7, is_init=True), _container("a", 0)).exit_code == 0


@pytest.mark.parametrize("phase", [SupervisedPhase.FAILED, SupervisedPhase.ABANDONED])
def test_a_pod_that_did_not_end_in_order_has_not_succeeded(phase: SupervisedPhase) -> None:
    assert _record(_container("a", 0), phase=phase).exit_code == 125
    assert _record(_container("a", 3), phase=phase).exit_code == 3


def test_a_container_may_be_left_unnamed_when_there_is_only_one_that_lasts() -> None:
    assert _record(_container("init", is_init=True), _container("a")).container(None).id == "a"
    assert _record(_container("init", is_init=True), _container("a")).container("init").is_init
    with pytest.raises(ContainerAmbiguous, match=r"has containers a, b: name one with -c"):
        _record(_container("a"), _container("b")).container(None)
    with pytest.raises(ContainerAmbiguous, match="has no containers"):
        _record().container(None)
    with pytest.raises(ContainerNotFound):
        _record(_container("a")).container("b")


def test_a_record_comes_back_from_json_as_it_was() -> None:
    container = ContainerSummary(
        ContainerId("a"),
        "oci:x",
        ("sh", "-c"),
        ContainerPhase.EXITED,
        ready=True,
        restarts=2,
        has_terminal=True,
        status=ExitStatus(137, 9, ExitReason.OOM_KILLED),
    )
    record = replace(_record(container), source="oci:x", created=1.5, problem="why")
    again = PodRecord.from_json(record.to_json())
    assert again == record
    assert type(again.id) is PodId
    assert type(again.containers[0].id) is ContainerId


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"id": "../x"}', b'{"id": "a", "phase": "dancing"}'])
def test_what_is_no_record_is_told_apart(text: bytes) -> None:
    assert PodRecord.from_json(text) is None


def test_fields_of_later_versions_are_skipped() -> None:
    assert PodRecord.from_json(b'{"id": "a", "phase": "exited", "novelty": 1}') is not None


def test_an_abandoned_pod_says_why_and_since_when() -> None:
    abandoned = _record(phase=SupervisedPhase.RUNNING).abandoned(12.0)
    assert (abandoned.phase, abandoned.ended) == (SupervisedPhase.ABANDONED, 12.0)
    assert "killed" in abandoned.problem
