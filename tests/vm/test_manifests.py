"""Manifests and surroundings of pods in namespaces, unchanged, in a machine."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import firkin
from firkin.adapters.agent_grpc import GrpcAgentConnector
from tests.integration.pod import manifests, test_surroundings
from tests.integration.pod.test_manifests import (
    test_a_container_that_fails_is_started_again_and_one_that_succeeds_is_not,
    test_a_container_that_hangs_is_found_by_its_liveness_probe,
    test_a_container_that_must_not_be_root_is_refused_when_its_image_says_root,
    test_a_limited_volume_of_a_manifest_is_full_at_its_limit,
    test_a_manifest_that_asks_for_more_than_there_is_is_refused_before_anything_boots,
    test_a_pod_whose_init_container_fails_does_not_start,
    test_a_sidecar_is_up_before_the_others_and_serves_them_to_their_end,
    test_an_init_container_prepares_what_a_sidecar_feeds_to_the_main_one,
    test_hooks_run_in_their_container,
    test_names_kernel_settings_and_processes_of_a_pod,
    test_nginx_with_its_configuration_in_a_config_map,
    test_redis_with_its_password_in_a_secret,
    test_secrets_are_files_of_their_modes_and_groups,
    test_variables_of_every_source,
    test_what_kubernetes_tells_a_pod_of_itself_is_in_its_files,
)
from tests.integration.pod.test_surroundings import (
    agents,
    test_a_setting_that_the_kernel_does_not_know_fails_the_pod_by_its_name,
    test_kernel_settings_of_a_pod_and_of_a_container,
    test_names_of_a_pod_and_those_that_a_container_has_instead,
)

from .lent_machine import lent_runtime, use_machine
from .shared_machine import SharedMachine

# What is not here shows files of the host to containers, or looks into a directory store.
__all__ = [
    "agents",
    "test_a_container_that_fails_is_started_again_and_one_that_succeeds_is_not",
    "test_a_container_that_hangs_is_found_by_its_liveness_probe",
    "test_a_container_that_must_not_be_root_is_refused_when_its_image_says_root",
    "test_a_limited_volume_of_a_manifest_is_full_at_its_limit",
    "test_a_manifest_that_asks_for_more_than_there_is_is_refused_before_anything_boots",
    "test_a_pod_whose_init_container_fails_does_not_start",
    "test_a_setting_that_the_kernel_does_not_know_fails_the_pod_by_its_name",
    "test_a_sidecar_is_up_before_the_others_and_serves_them_to_their_end",
    "test_an_init_container_prepares_what_a_sidecar_feeds_to_the_main_one",
    "test_hooks_run_in_their_container",
    "test_kernel_settings_of_a_pod_and_of_a_container",
    "test_names_kernel_settings_and_processes_of_a_pod",
    "test_names_of_a_pod_and_those_that_a_container_has_instead",
    "test_nginx_with_its_configuration_in_a_config_map",
    "test_redis_with_its_password_in_a_secret",
    "test_secrets_are_files_of_their_modes_and_groups",
    "test_variables_of_every_source",
    "test_what_kubernetes_tells_a_pod_of_itself_is_in_its_files",
]

pytestmark = pytest.mark.real_time


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all tests, so that the images are read once."""
    base = tmp_path_factory.getbasetemp() / "machine-manifests"
    base.mkdir(exist_ok=True)
    return base


@pytest.fixture(autouse=True)
def in_a_machine(monkeypatch: pytest.MonkeyPatch, shared_machine: SharedMachine) -> None:
    """Let the runtimes of the tests have the machine in place of namespaces."""

    @contextlib.asynccontextmanager
    async def surrounded(directory: Path, agents: GrpcAgentConnector) -> AsyncIterator[firkin.Runtime]:
        async with lent_runtime(shared_machine, directory, agents) as runtime:
            yield runtime

    use_machine(monkeypatch, shared_machine, (manifests,))
    monkeypatch.setattr(test_surroundings, "_runtime", surrounded)
