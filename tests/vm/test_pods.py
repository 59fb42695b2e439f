"""Tests of pods in namespaces, unchanged, in a machine: both kinds of sandbox give the same answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from tests.integration.pod import test_files_and_statistics, test_output, test_pod
from tests.integration.pod.test_files_and_statistics import (
    test_copies_see_a_container_as_it_sees_itself,
    test_symlinks_that_a_container_plants_lead_nowhere,
)
from tests.integration.pod.test_output import test_a_flood_is_logged_within_its_bound_while_readers_come_and_go
from tests.integration.pod.test_pod import (
    test_a_command_that_cannot_run_is_told_apart_and_its_id_stays_usable,
    test_a_process_that_obeys_is_stopped_at_once_and_one_that_does_not_is_killed,
    test_a_written_file_is_seen_and_a_planted_symlink_is_refused,
    test_exec_inherits_and_overrides,
    test_exit_codes_signals_and_streams_are_exact,
    test_the_system_calls_of_containers_and_execs_are_filtered,
    test_user_environment_and_directory_are_those_of_the_image_unless_overridden,
)

from .shared_machine import SharedMachine

__all__ = [
    "test_a_command_that_cannot_run_is_told_apart_and_its_id_stays_usable",
    "test_a_flood_is_logged_within_its_bound_while_readers_come_and_go",
    "test_a_process_that_obeys_is_stopped_at_once_and_one_that_does_not_is_killed",
    "test_a_written_file_is_seen_and_a_planted_symlink_is_refused",
    "test_copies_see_a_container_as_it_sees_itself",
    "test_exec_inherits_and_overrides",
    "test_exit_codes_signals_and_streams_are_exact",
    "test_symlinks_that_a_container_plants_lead_nowhere",
    "test_the_system_calls_of_containers_and_execs_are_filtered",
    "test_user_environment_and_directory_are_those_of_the_image_unless_overridden",
]

pytestmark = pytest.mark.real_time

_MODULES = (test_files_and_statistics, test_output, test_pod)


@pytest.fixture(autouse=True)
def in_a_machine(monkeypatch: pytest.MonkeyPatch, shared_machine: SharedMachine) -> None:
    """Let the runtimes of the tests have the machine in place of namespaces."""

    @contextlib.asynccontextmanager
    async def machine_runtime(directory: Path, store: str = "ext4") -> AsyncIterator[firkin.Runtime]:
        config = firkin.RuntimeConfig(
            vmm=shared_machine, store="ext4", state_dir=directory / "state", runtime_dir=directory / "run"
        )
        async with firkin.open_runtime(config) as runtime:
            yield runtime

    for module in _MODULES:
        monkeypatch.setattr(module, "real_runtime", machine_runtime)
