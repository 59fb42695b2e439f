from __future__ import annotations

import enum
from collections.abc import Mapping
from itertools import product
from typing import TypeVar

import pytest

from firkin.domain.lifecycle import (
    CONTAINER_TRANSITIONS,
    POD_TRANSITIONS,
    ContainerEvent,
    ContainerPhase,
    Lifecycle,
    PodEvent,
    PodPhase,
    container_lifecycle,
    pod_lifecycle,
)
from firkin.errors import IllegalTransition

Phase = TypeVar("Phase", bound=enum.StrEnum)
Event = TypeVar("Event", bound=enum.StrEnum)


def check_step(table: Mapping[Phase, Mapping[Event, Phase]], phase: Phase, event: Event) -> None:
    life = Lifecycle("it", table, phase)
    following = table[phase].get(event)
    assert life.can(event) == (following is not None)
    if following is None:
        with pytest.raises(IllegalTransition) as raised:
            life.apply(event)
        assert (raised.value.phase, raised.value.event) == (phase, event)
        assert life.phase is phase
    else:
        assert life.apply(event) is following
        assert life.phase is following


def reachable(table: Mapping[Phase, Mapping[Event, Phase]], start: Phase) -> set[Phase]:
    found, open_ends = {start}, [start]
    while open_ends:
        following = set(table[open_ends.pop()].values()) - found
        found |= following
        open_ends += following
    return found


@pytest.mark.parametrize(("phase", "event"), list(product(PodPhase, PodEvent)))
def test_a_pod_goes_where_the_table_says_and_nowhere_else(phase: PodPhase, event: PodEvent) -> None:
    check_step(POD_TRANSITIONS, phase, event)


@pytest.mark.parametrize(("phase", "event"), list(product(ContainerPhase, ContainerEvent)))
def test_a_container_goes_where_the_table_says_and_nowhere_else(phase: ContainerPhase, event: ContainerEvent) -> None:
    check_step(CONTAINER_TRANSITIONS, phase, event)


def test_every_phase_is_reachable() -> None:
    assert reachable(POD_TRANSITIONS, PodPhase.VALIDATED) == set(PodPhase)
    assert reachable(CONTAINER_TRANSITIONS, ContainerPhase.PENDING) == set(ContainerPhase)


def test_every_event_happens_somewhere() -> None:
    assert {event for steps in POD_TRANSITIONS.values() for event in steps} == set(PodEvent)
    assert {event for steps in CONTAINER_TRANSITIONS.values() for event in steps} == set(ContainerEvent)


@pytest.mark.parametrize("phase", sorted(set(PodPhase) - {PodPhase.STOPPING, PodPhase.STOPPED}))
def test_a_pod_can_be_stopped_whatever_it_does(phase: PodPhase) -> None:
    assert POD_TRANSITIONS[phase][PodEvent.STOP_BEGUN] is PodPhase.STOPPING


@pytest.mark.parametrize("phase", sorted(set(ContainerPhase) - {ContainerPhase.REMOVING, ContainerPhase.REMOVED}))
def test_a_container_can_be_removed_whatever_it_does(phase: ContainerPhase) -> None:
    assert CONTAINER_TRANSITIONS[phase][ContainerEvent.REMOVAL_BEGUN] is ContainerPhase.REMOVING


def test_the_ends_are_final() -> None:
    assert not POD_TRANSITIONS[PodPhase.STOPPED]
    assert not CONTAINER_TRANSITIONS[ContainerPhase.REMOVED]


def test_the_usual_life_of_a_pod() -> None:
    life = pod_lifecycle("pod-1")
    phases = [
        life.apply(event)
        for event in (
            PodEvent.BOOT_BEGUN,
            PodEvent.AGENT_ANSWERED,
            PodEvent.STORE_PREPARED,
            PodEvent.VOLUMES_PREPARED,
            PodEvent.CONTAINERS_STARTED,
            PodEvent.STOP_BEGUN,
            PodEvent.STOPPED,
        )
    ]
    assert phases == [
        PodPhase.BOOTING,
        PodPhase.AGENT_READY,
        PodPhase.STORE_MOUNTED,
        PodPhase.STARTING,
        PodPhase.RUNNING,
        PodPhase.STOPPING,
        PodPhase.STOPPED,
    ]


def test_a_refused_step_names_the_thing_and_what_it_is_doing() -> None:
    with pytest.raises(IllegalTransition, match="container 'web' is pending: committed is not possible now"):
        container_lifecycle("web").apply(ContainerEvent.COMMITTED)
