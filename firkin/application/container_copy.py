"""Copying between the host and a container."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from firkin.domain.copying import CopyReport
from firkin.domain.errors import ContainerNotRunning, CopyFailed, FirkinError, Outcome
from firkin.domain.guest_path import GuestPath
from firkin.domain.lifecycle import ContainerPhase
from firkin.ports.agent_files import CopyIn, CopyOut

from .container_plan import ContainerPlan
from .container_record import ContainerRecord
from .open_pod import OpenPod

_WITH_ROOTFS = (ContainerPhase.STARTED, ContainerPhase.RUNNING, ContainerPhase.EXITED)
_IN = "copy into pod container"
_OUT = "copy out of pod container"


async def copied_in(
    pod: OpenPod,
    record: ContainerRecord,
    host_path: str | os.PathLike[str],
    guest_path: str,
    *,
    keep_ownership: bool,
    create_parents: bool,
) -> CopyReport:
    """Copy a file or a directory of the host into a container.

    Raises:
        PodNotRunning, ContainerNotRunning: there is no container to copy into.
        CopyFailed, UserUnknown, PathRefused, StoreFull: it cannot be copied.
    """
    plan = _plan(pod, record, guest_path, _IN)
    user = None if keep_ownership else plan.runtime_spec.process.user.username
    rootfs = GuestPath(plan.runtime_spec.root.path)
    copy = CopyIn(record.id, rootfs, os.fspath(host_path), guest_path, user, create_parents)
    try:
        return await pod.agent.copy_in(copy)
    except FirkinError as error:
        raise error.during(_IN, pod_id=pod.spec.id, container_id=record.id) from error.__cause__


async def copied_out(
    pod: OpenPod,
    record: ContainerRecord,
    guest_path: str,
    host_path: str | os.PathLike[str],
    *,
    keep_ownership: bool,
) -> CopyReport:
    """Copy a file or a directory of a container to the host.

    Raises:
        PodNotRunning, ContainerNotRunning: there is no container to copy from.
        CopyFailed, PathRefused: it cannot be copied.
    """
    plan = _plan(pod, record, guest_path, _OUT)
    rootfs = GuestPath(plan.runtime_spec.root.path)
    copy = CopyOut(record.id, rootfs, guest_path, os.fspath(host_path), keep_ownership)
    try:
        return await pod.agent.copy_out(copy)
    except FirkinError as error:
        raise error.during(_OUT, pod_id=pod.spec.id, container_id=record.id) from error.__cause__


def _plan(pod: OpenPod, record: ContainerRecord, guest_path: str, operation: str) -> ContainerPlan:
    pod.require_usable()
    if record.plan is None or record.phase not in _WITH_ROOTFS:
        raise ContainerNotRunning(record.id, record.phase)
    if not guest_path or "\0" in guest_path:
        raise CopyFailed(guest_path, "it is no path").during(operation, outcome=Outcome.DID_NOT)
    if record.phase is ContainerPhase.EXITED:
        # What is mounted in a container goes with its last process: below are only the mount points.
        path = PurePosixPath("/", guest_path.lstrip("/"))
        for mount in record.plan.runtime_spec.mounts:
            if path.is_relative_to(mount.destination):
                reason = f"the container has ended, and with it the mount at {mount.destination}"
                raise CopyFailed(guest_path, reason).during(operation, outcome=Outcome.DID_NOT)
    return record.plan
