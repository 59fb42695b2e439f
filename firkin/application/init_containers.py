"""Starting a pod's init containers, one after the other: each to its end, or, a sidecar, until it has come up."""

from __future__ import annotations

import asyncio

from firkin.domain.container_spec import PodContainerSpec
from firkin.domain.errors import InitContainerFailed, OutputLimitExceeded
from firkin.domain.process import Output
from firkin.domain.restarting import BackOff, RestartPolicy

from .container_add import committed, resume_container_add
from .container_record import ContainerRecord
from .container_removal import removal
from .log_recorder import LogRecorder
from .open_pod import OpenPod
from .task_scope import finished

OUTPUT_LIMIT_BYTES = 2**20
_TAIL_BYTES = 2048
_TAIL_LINES = 10


async def run_init_containers(pod: OpenPod) -> None:
    """Run them; what a piped one that ended wrote, up to 1 MiB of each stream, is kept in `pod.init_outputs`.

    Raises:
        InitContainerFailed: one did not end with exit code 0, and the pod's restart policy is `never`.
        FirkinError: one cannot be started.
    """
    for spec in pod.spec.init_containers:
        await (_start_sidecar(pod, spec) if spec.is_sidecar else _run_to_success(pod, spec))


async def _start_sidecar(pod: OpenPod, spec: PodContainerSpec) -> None:
    record = pod.containers.reserve(spec)
    async with await resume_container_add(pod, record) as pending:
        committed(pod, await pending.start())
    finished = record.finished
    assert finished is not None, "a sidecar is supervised"
    await asyncio.wait([record.came_up, finished], return_when=asyncio.FIRST_COMPLETED)
    if not record.came_up.done() and record.process is not None:
        # It ended for good, as its sandbox did; or it was stopped.
        raise InitContainerFailed(spec.id, str(await record.process.wait()))


async def _run_to_success(pod: OpenPod, spec: PodContainerSpec) -> None:
    back_off, loop = BackOff(), asyncio.get_running_loop()
    while True:
        begun = loop.time()
        record = pod.containers.reserve(spec)
        output = await _run(pod, record)
        pod.init_outputs[spec.id] = output
        if output.status.success:
            break
        if pod.spec.restart_policy is RestartPolicy.NEVER:
            raise InitContainerFailed(spec.id, str(output.status), _tail(output, record.log))
        await asyncio.sleep(back_off.pause_seconds(loop.time() - begun))


async def _run(pod: OpenPod, record: ContainerRecord) -> Output:
    async with await resume_container_add(pod, record) as pending:
        committed(pod, await pending.start(), is_supervised=False)
    output = await _ended(record)
    await finished(removal(pod, record, 0))
    return output


async def _ended(record: ContainerRecord) -> Output:
    process = record.process
    assert process is not None, "a committed container has been started"
    try:
        return await process.wait_with_output(OUTPUT_LIMIT_BYTES)
    except OutputLimitExceeded:
        return Output(await process.wait())


def _tail(output: Output, log: LogRecorder | None) -> str:
    logged = [] if log is None else log.kept(None, _TAIL_LINES)
    written = output.stderr or output.stdout or b"".join(entry.data for entry in logged)
    text = written[-_TAIL_BYTES:].decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
