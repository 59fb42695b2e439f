"""A supervisor that lives and answers nobody."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from firkin.host_side.stopped_processes import is_stopped

if TYPE_CHECKING:
    from firkin.domain.ids import PodId
    from firkin.ports.pod_registry import PodRegistry


def supervisor_is_stopped(registry: PodRegistry, pod_id: PodId) -> bool:
    """Whether a pod's supervisor was stopped (SIGSTOP), so that there is no use in waiting for an answer.

    Raises:
        PodNotFound: there is none of this name.
    """
    return registry.is_held(pod_id) and is_stopped(registry.record(pod_id).supervisor_pid)


def killed_supervisor(registry: PodRegistry, pod_id: PodId) -> bool:
    """Kill the process that holds a pod; False when nobody holds it, or when the process is not ours to see or kill.

    Raises:
        PodNotFound: there is none of this name.
    """
    try:
        supervisor = os.pidfd_open(registry.record(pod_id).supervisor_pid)
    except OSError:
        return False
    try:
        # Whoever holds the pod lived when the descriptor was opened, so its number was nobody else's.
        if not registry.is_held(pod_id):
            return False
        signal.pidfd_send_signal(supervisor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(supervisor)
    return True
