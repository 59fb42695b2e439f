"""Starting the init of a container, the first time and again."""

from __future__ import annotations

import signal as signals

from firkin.domain.errors import ContainerNotPending, PostStartFailed
from firkin.domain.lowering import encoded
from firkin.domain.probes import HookAction
from firkin.domain.process import ProcessRef
from firkin.ports.agent_containers import ContainerLaunch, OverlayRequest

from .container_action import action_failure
from .container_record import ContainerRecord
from .open_pod import OpenPod
from .probing import start_probing
from .running_process import RunningProcess

_UNREAD_BYTES_BEFORE_UP = 16 * 2**20


async def launch(pod: OpenPod, record: ContainerRecord, overlay: OverlayRequest | None) -> None:
    """Start the init of a container that is in phase `starting`."""
    if record.plan is None:
        raise ContainerNotPending(pod.spec.id, record.id)
    stages = record.stages
    with stages.stage("spec"):
        runtime_spec = encoded(record.plan.runtime_spec)
    wanted, stdio = record.spec.process, record.spec.stdio
    terminal = wanted.terminal_size if wanted.terminal else None
    with stages.stage("call"):
        started = await pod.agent.start_container(
            ContainerLaunch(
                record.id, runtime_spec, stdio.for_agent, overlay, terminal, record.plan.files, record.plan.volume_parts
            )
        )
    stages.add({"streams": started.stdio_seconds, "call": -started.stdio_seconds})
    stages.add({"create": started.create_seconds, "start": started.runtime_seconds})
    stages.end()
    process = RunningProcess(ProcessRef(record.id, record.id), started, pod.agent, pod.scope, record.log, stdio.logged)
    record.run(process)
    if record.spec.is_sidecar and record.spec.probes.startup is not None:
        # Its pod is not there to be read from before it has come up.
        process.keep_unread(_UNREAD_BYTES_BEFORE_UP)
    pod.container_started(record)
    if record.spec.hooks.post_start is not None:
        with stages.stage("post start"):
            await _run_post_start(pod, record, process, record.spec.hooks.post_start)
    start_probing(pod, record, process)


async def _run_post_start(pod: OpenPod, record: ContainerRecord, process: RunningProcess, action: HookAction) -> None:
    failure = await action_failure(pod, record, action, None)
    if failure is None:
        return
    status, was_killed = await process.stop(signals.SIGKILL, 0)
    # One that had ended by itself, before the command or beside it, is told by its own status.
    if was_killed and status.signal == signals.SIGKILL:
        raise PostStartFailed(record.id, failure)
