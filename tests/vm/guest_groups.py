"""Control groups of containers in a machine: the guest's kernel tells what the host does not see."""

from __future__ import annotations

import grpc

import firkin
from firkin.wire import agent_pb2 as wire
from firkin.wire.agent_pb2_grpc import AgentStub

_SECONDS = 30.0


def guest_group_value(pod: firkin.Pod, below: str, *files: str) -> int:
    """What one of these files of a container's control group says; as `group_value` does for namespaces."""
    with grpc.insecure_channel(f"unix:{pod.vm.socket_directory}/guest-1024.sock") as channel:
        request = wire.ContainerStatisticsRequest(container_ids=[below.removeprefix("container/")])
        (found,) = AgentStub(channel).ContainerStatistics(request, timeout=_SECONDS).containers
    values = {"memory.max": found.memory.limit_bytes, "pids.current": found.processes.current}
    (value,) = (values[file] for file in files if file in values)
    return value
