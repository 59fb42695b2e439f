"""What every registry of pods promises (ports/pod_registry.py)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from firkin.domain.errors import PodNameTaken, PodNotFound, PodStillRunning
from firkin.domain.ids import PodId
from firkin.domain.supervised_pod import PodRecord, SupervisedPhase
from firkin.ports.pod_registry import PodRegistry

POD = PodId("pod-1")


def test_an_empty_registry_knows_nobody(firkin_pod_registry: PodRegistry) -> None:
    assert firkin_pod_registry.records() == ()
    assert not firkin_pod_registry.is_held(POD)
    for name in ("pod-1", "", "../pod-1", ".new-1"):
        with pytest.raises(PodNotFound):
            firkin_pod_registry.record(name)
    with pytest.raises(PodNotFound):
        firkin_pod_registry.remove(POD)


def test_a_pod_is_held_while_it_is_claimed_and_its_record_is_what_was_saved_last(
    firkin_pod_registry: PodRegistry,
) -> None:
    with firkin_pod_registry.claimed(_record()) as claimed:
        assert firkin_pod_registry.is_held(POD)
        assert claimed.directory.is_absolute()
        if claimed.directory.exists():
            assert claimed.directory.stat().st_mode & 0o777 == 0o700
        assert firkin_pod_registry.record("pod-1").phase is SupervisedPhase.STARTING
        claimed.save(replace(_record(), phase=SupervisedPhase.RUNNING))
        assert firkin_pod_registry.record("pod-1").phase is SupervisedPhase.RUNNING
        claimed.save(replace(_record(), phase=SupervisedPhase.EXITED))
    assert not firkin_pod_registry.is_held(POD)
    assert firkin_pod_registry.record("pod-1").phase is SupervisedPhase.EXITED


def test_a_name_is_taken_as_long_as_the_pod_is_kept(firkin_pod_registry: PodRegistry) -> None:
    with firkin_pod_registry.claimed(_record()), pytest.raises(PodNameTaken, match="is starting"):
        _ended(firkin_pod_registry)
    # That one was let go of without an end.
    with pytest.raises(PodNameTaken, match="is abandoned"):
        _ended(firkin_pod_registry)
    firkin_pod_registry.remove(POD)
    _ended(firkin_pod_registry)
    with pytest.raises(PodNameTaken, match="is exited"):
        _ended(firkin_pod_registry)


def test_a_pod_that_nobody_holds_and_that_did_not_end_is_abandoned(firkin_pod_registry: PodRegistry) -> None:
    with firkin_pod_registry.claimed(_record()) as claimed:
        claimed.save(replace(_record(), phase=SupervisedPhase.RUNNING))
    record = firkin_pod_registry.record("pod-1")
    assert (record.phase, record.ended > 0) == (SupervisedPhase.ABANDONED, True)
    assert firkin_pod_registry.records() == (record,)


def test_only_a_pod_that_nobody_runs_can_be_removed(firkin_pod_registry: PodRegistry) -> None:
    with firkin_pod_registry.claimed(_record()), pytest.raises(PodStillRunning):
        firkin_pod_registry.remove(POD)
    firkin_pod_registry.remove(POD)
    assert firkin_pod_registry.records() == ()


def test_a_discarded_pod_is_forgotten_when_it_is_let_go_of(firkin_pod_registry: PodRegistry) -> None:
    with firkin_pod_registry.claimed(_record()) as claimed:
        claimed.discard()
        assert firkin_pod_registry.record("pod-1")
    with pytest.raises(PodNotFound):
        firkin_pod_registry.record("pod-1")


def test_records_come_the_oldest_first(firkin_pod_registry: PodRegistry) -> None:
    for name, created in (("c", 2.0), ("a", 3.0), ("b", 1.0)):
        _ended(firkin_pod_registry, PodId(name), created)
    assert [record.id for record in firkin_pod_registry.records()] == ["b", "c", "a"]


def _record(pod_id: PodId = POD, created: float = 1.0) -> PodRecord:
    return PodRecord(id=pod_id, created=created)


def _ended(registry: PodRegistry, pod_id: PodId = POD, created: float = 1.0) -> PodRecord:
    record = replace(_record(pod_id, created), phase=SupervisedPhase.EXITED)
    with registry.claimed(_record(pod_id, created)) as claimed:
        claimed.save(record)
    return record
