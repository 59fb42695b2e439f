"""Long-lived pods in memory, for the tests of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from firkin.adapters.cli import CliServices, run_program
from firkin.adapters.cli.services import LongLivedPods, SupervisedStart
from firkin.adapters.memory import MemoryPodControls, MemoryPodRegistry
from firkin.ports.agent_templates import ProgressCallback


def long_lived_in_memory(registry: MemoryPodRegistry | None = None) -> LongLivedPods:
    """Services over a registry in memory, in which nothing can be started."""
    kept = registry or MemoryPodRegistry()

    def start(start: SupervisedStart, on_progress: ProgressCallback, on_running: Callable[[str], None]) -> NoReturn:
        raise AssertionError(f"asked to start {start.source}")

    return LongLivedPods(start, lambda: kept, lambda: kept.logs, lambda: MemoryPodControls(kept), lambda: ())


def run_over(registry: MemoryPodRegistry, *arguments: str) -> int:
    """Run a command over pods in memory; what it needs beside them is not there."""

    def unused(*arguments: object, **options: object) -> NoReturn:
        raise AssertionError(f"called with {arguments} {options}")

    services = CliServices(
        open_runtime=unused,
        read_pod=unused,
        check_pod=unused,
        apply_layer=unused,
        run_vminitd=unused,
        places=unused,
        traceback_wanted=lambda: False,
        version=lambda: "9.9",
        image_library=unused,
        templates=unused,
        reclaimable=unused,
        guest_images=unused,
        kept_guest_images=unused,
        kvm_obstacle=unused,
        kvm_finding=unused,
        vhost_obstacle=unused,
        long_lived=long_lived_in_memory(registry),
    )
    return run_program(arguments, services)
