"""What Mount of SandboxContext refuses of firkin's own types; what they mount is tested with pods over that service."""

from __future__ import annotations

import os
from pathlib import Path

import grpc
import pytest
from grpc.aio import AioRpcError

from firkin.domain.context_additions import EMPTY_DIR, PROCESS_NAMESPACE, VOLUME_PART
from firkin.domain.layout import POD_PROCESS_NAMESPACE
from firkin.wire import sandbox_context_pb2 as context

from .agent_process import running_agent

pytestmark = pytest.mark.real_time

_PART = "/s/pods/p/containers/c/volumes/0"


@pytest.mark.parametrize(
    ("kind", "source", "destination", "options"),
    [
        (VOLUME_PART, "/v", "/etc", ["path=a"]),
        (VOLUME_PART, "/v", _PART, []),
        (VOLUME_PART, "/v", _PART, ["path=../a"]),
        (VOLUME_PART, "/v", _PART, ["path=/a"]),
        (VOLUME_PART, "/v", _PART, ["path=a", "ro"]),
        (VOLUME_PART, "v", _PART, ["path=a"]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v", ["size=4096"]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v", ["medium=tape"]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v", ["medium=memory", "size=-1"]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v", ["medium=memory", "size=1" + "0" * 40]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v", ["medium=memory", "group=x"]),
        (EMPTY_DIR, "/s", "/s/pods/p/emptydir/v/w", ["medium=memory"]),
        (EMPTY_DIR, "/s", "/s/pods/p/volumes/v", ["medium=memory"]),
        (EMPTY_DIR, "/s", "/s/pods/../emptydir/v", ["medium=memory"]),
        (EMPTY_DIR, "/other", "/s/pods/p/emptydir/v", ["medium=memory"]),
        (PROCESS_NAMESPACE, "", "/run/elsewhere", []),
        (PROCESS_NAMESPACE, "", POD_PROCESS_NAMESPACE, ["ro"]),
    ],
)
async def test_a_mount_of_firkins_own_that_is_none_is_refused(
    kind: str, source: str, destination: str, options: list[str]
) -> None:
    async with running_agent() as agent:
        request = context.MountRequest(type=kind, source=source, destination=destination, options=options)
        with pytest.raises(AioRpcError) as failure:
            await agent.context.Mount(request)
        assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_empty_dir_of_a_pod_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    async with running_agent() as agent:
        request = context.MountRequest(
            type=EMPTY_DIR,
            source=str(tmp_path),
            destination=f"{tmp_path}/pods/p/emptydir/v",
            options=["medium=disk"],
        )
        with pytest.raises(AioRpcError) as failure:
            await agent.context.Mount(request)
        assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert not os.listdir(tmp_path)
