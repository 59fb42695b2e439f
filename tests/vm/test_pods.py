"""Tests of pods in namespaces, unchanged, in a machine: both kinds of sandbox give the same answers."""

from __future__ import annotations

import pytest

from tests.integration.pod import (
    test_expectations,
    test_files_and_statistics,
    test_full_store,
    test_hostile_containers,
    test_init,
    test_layer_limits,
    test_limits,
    test_output,
    test_pod,
    test_shared_processes,
    test_sharing,
    test_volume_limits,
    test_volume_parts,
)
from tests.integration.pod.test_expectations import (
    test_an_exec_has_its_own_path_directory_and_privileges,
    test_containers_see_neither_files_nor_processes_of_each_other,
    test_kernel_paths_are_masked_or_read_only,
    test_privileges_are_few_unless_asked_for,
    test_working_directory_home_and_path_are_as_expected,
)
from tests.integration.pod.test_files_and_statistics import (
    test_copies_see_a_container_as_it_sees_itself,
    test_limits_usage_and_memory_shortage_are_told,
    test_processes_usage_of_the_store_and_memory_shortage_are_told_as_they_are,
    test_symlinks_that_a_container_plants_lead_nowhere,
)
from tests.integration.pod.test_full_store import (
    test_a_store_that_is_full_to_its_last_block_is_told_and_made_room_in_by_who_runs,
)
from tests.integration.pod.test_hostile_containers import test_the_worst_containers_hurt_nobody_but_themselves
from tests.integration.pod.test_init import (
    test_a_command_that_a_volume_brings_runs_below_an_init,
    test_an_init_exits_as_its_command_does_and_passes_its_streams_on,
    test_containers_that_share_processes_may_have_inits,
    test_orphans_are_reaped_by_an_init_and_stay_zombies_without_one,
    test_signals_reach_the_command_of_an_init_and_end_it_also_when_it_handles_none,
    test_the_command_of_an_init_has_the_terminal,
    test_what_an_init_cannot_run_is_told_as_without_one,
)
from tests.integration.pod.test_layer_limits import (
    test_a_container_writes_as_much_as_it_may_and_its_neighbour_goes_on,
    test_files_of_the_image_that_are_changed_count_and_room_that_is_made_is_there,
)
from tests.integration.pod.test_limits import (
    test_a_container_beyond_its_memory_is_killed_for_it_and_its_neighbour_goes_on,
    test_a_container_that_forks_without_end_stops_at_its_limit_and_its_neighbour_goes_on,
    test_a_read_only_rootfs_refuses_writing_but_its_tmpfs_and_volumes_take_it,
    test_capabilities_are_those_that_were_chosen,
    test_rlimits_are_set_and_hold,
)
from tests.integration.pod.test_output import (
    test_a_flood_is_logged_within_its_bound_while_readers_come_and_go,
    test_a_shell_in_an_exec_is_driven_over_its_terminal,
    test_a_sidecar_that_writes_much_before_it_is_up_holds_no_pod_up,
    test_inherited_terminals_are_drained_before_the_wait_returns,
    test_logs_are_read_from_a_time_on_by_their_last_lines_and_as_they_come,
    test_output_that_nobody_reads_holds_no_stop_up_and_is_there_for_who_reads_later,
)
from tests.integration.pod.test_pod import (
    test_a_command_that_cannot_run_is_told_apart_and_its_id_stays_usable,
    test_a_process_that_obeys_is_stopped_at_once_and_one_that_does_not_is_killed,
    test_a_written_file_is_seen_and_a_planted_symlink_is_refused,
    test_containers_share_volumes_and_network_and_leave_nothing,
    test_exec_inherits_and_overrides,
    test_exit_codes_signals_and_streams_are_exact,
    test_the_files_of_a_container_survive_its_restart_and_not_its_removal,
    test_the_system_calls_of_containers_and_execs_are_filtered,
    test_user_environment_and_directory_are_those_of_the_image_unless_overridden,
)
from tests.integration.pod.test_shared_processes import (
    test_a_container_sees_the_processes_of_the_others_and_can_signal_them,
    test_a_container_that_may_trace_finds_an_empty_root_and_cannot_write_to_the_program,
    test_orphans_are_reaped_by_a_first_process_that_gives_nothing_away,
    test_processes_of_the_exec_api_are_exact_as_well,
    test_the_end_of_a_container_ends_its_own_processes_and_no_others,
)
from tests.integration.pod.test_sharing import (
    test_a_volume_takes_writers_at_once_and_outlives_them,
    test_both_outputs_may_flood_at_once,
    test_containers_reach_each_other_over_ipv6,
)
from tests.integration.pod.test_volume_limits import (
    test_a_container_that_fills_a_volume_sees_enospc_at_its_limit_and_neighbours_go_on,
    test_a_pod_of_ten_limited_volumes_starts_and_leaves_nothing,
)
from tests.integration.pod.test_volume_parts import (
    test_a_link_that_a_container_planted_leads_nobody_out_of_the_volume,
    test_containers_see_their_parts_of_a_volume_and_nothing_else,
)

from .guest_groups import guest_group_value
from .lent_machine import use_machine
from .shared_machine import SharedMachine

# What is not here looks at the sandbox from the host (its processes, control groups whose values the agent does not
# tell, or the files of a directory store), shows the host's files to containers, or boots a dozen times; the rest of
# tests/vm has its like. An agent that is killed takes its machine along: test_volume_limits.py has one for it.
# A store is one machine's: two of its pods at once, or of one id, cannot be there (test_store.py has who tries).
# No tool that the host lacks keeps a limit from being enforced: the guest image has them all, or is not made
# (test_guest_image.py), or its kernel does not boot (test_volume_limits.py). How many blocks `dd` leaves in a full
# store, in which a small container then starts, depends on the kernel: a machine's leaves none.
__all__ = [
    "test_a_command_that_a_volume_brings_runs_below_an_init",
    "test_a_command_that_cannot_run_is_told_apart_and_its_id_stays_usable",
    "test_a_container_beyond_its_memory_is_killed_for_it_and_its_neighbour_goes_on",
    "test_a_container_sees_the_processes_of_the_others_and_can_signal_them",
    "test_a_container_that_fills_a_volume_sees_enospc_at_its_limit_and_neighbours_go_on",
    "test_a_container_that_forks_without_end_stops_at_its_limit_and_its_neighbour_goes_on",
    "test_a_container_that_may_trace_finds_an_empty_root_and_cannot_write_to_the_program",
    "test_a_container_writes_as_much_as_it_may_and_its_neighbour_goes_on",
    "test_a_flood_is_logged_within_its_bound_while_readers_come_and_go",
    "test_a_link_that_a_container_planted_leads_nobody_out_of_the_volume",
    "test_a_pod_of_ten_limited_volumes_starts_and_leaves_nothing",
    "test_a_process_that_obeys_is_stopped_at_once_and_one_that_does_not_is_killed",
    "test_a_read_only_rootfs_refuses_writing_but_its_tmpfs_and_volumes_take_it",
    "test_a_shell_in_an_exec_is_driven_over_its_terminal",
    "test_a_sidecar_that_writes_much_before_it_is_up_holds_no_pod_up",
    "test_a_store_that_is_full_to_its_last_block_is_told_and_made_room_in_by_who_runs",
    "test_a_volume_takes_writers_at_once_and_outlives_them",
    "test_a_written_file_is_seen_and_a_planted_symlink_is_refused",
    "test_an_exec_has_its_own_path_directory_and_privileges",
    "test_an_init_exits_as_its_command_does_and_passes_its_streams_on",
    "test_both_outputs_may_flood_at_once",
    "test_capabilities_are_those_that_were_chosen",
    "test_containers_reach_each_other_over_ipv6",
    "test_containers_see_neither_files_nor_processes_of_each_other",
    "test_containers_see_their_parts_of_a_volume_and_nothing_else",
    "test_containers_share_volumes_and_network_and_leave_nothing",
    "test_containers_that_share_processes_may_have_inits",
    "test_copies_see_a_container_as_it_sees_itself",
    "test_exec_inherits_and_overrides",
    "test_exit_codes_signals_and_streams_are_exact",
    "test_files_of_the_image_that_are_changed_count_and_room_that_is_made_is_there",
    "test_inherited_terminals_are_drained_before_the_wait_returns",
    "test_kernel_paths_are_masked_or_read_only",
    "test_limits_usage_and_memory_shortage_are_told",
    "test_logs_are_read_from_a_time_on_by_their_last_lines_and_as_they_come",
    "test_orphans_are_reaped_by_a_first_process_that_gives_nothing_away",
    "test_orphans_are_reaped_by_an_init_and_stay_zombies_without_one",
    "test_output_that_nobody_reads_holds_no_stop_up_and_is_there_for_who_reads_later",
    "test_privileges_are_few_unless_asked_for",
    "test_processes_of_the_exec_api_are_exact_as_well",
    "test_processes_usage_of_the_store_and_memory_shortage_are_told_as_they_are",
    "test_rlimits_are_set_and_hold",
    "test_signals_reach_the_command_of_an_init_and_end_it_also_when_it_handles_none",
    "test_symlinks_that_a_container_plants_lead_nowhere",
    "test_the_command_of_an_init_has_the_terminal",
    "test_the_end_of_a_container_ends_its_own_processes_and_no_others",
    "test_the_files_of_a_container_survive_its_restart_and_not_its_removal",
    "test_the_system_calls_of_containers_and_execs_are_filtered",
    "test_the_worst_containers_hurt_nobody_but_themselves",
    "test_user_environment_and_directory_are_those_of_the_image_unless_overridden",
    "test_what_an_init_cannot_run_is_told_as_without_one",
    "test_working_directory_home_and_path_are_as_expected",
]

pytestmark = pytest.mark.real_time

_MODULES = (
    test_expectations,
    test_files_and_statistics,
    test_full_store,
    test_hostile_containers,
    test_init,
    test_layer_limits,
    test_limits,
    test_output,
    test_pod,
    test_shared_processes,
    test_sharing,
    test_volume_limits,
    test_volume_parts,
)


@pytest.fixture(autouse=True)
def in_a_machine(monkeypatch: pytest.MonkeyPatch, shared_machine: SharedMachine) -> None:
    """Let the runtimes of the tests have the machine in place of namespaces."""
    use_machine(monkeypatch, shared_machine, _MODULES)
    monkeypatch.setattr(test_limits, "group_value", guest_group_value)
