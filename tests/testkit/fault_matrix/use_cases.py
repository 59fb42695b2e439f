"""What a user can do with a runtime, each as one step that a fault may hit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from firkin.application.pod import Pod
from firkin.domain.events import ContainerReadinessChanged, PodPhaseChanged

from .faulty_world import PORT, FaultyWorld

Step = Callable[[FaultyWorld, Pod], Awaitable[object]]


async def _begin(world: FaultyWorld, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")):
        pass


async def _prepare(world: FaultyWorld, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")) as pending:
        await pending.prepare()


async def _start(world: FaultyWorld, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")) as pending:
        await pending.start()


async def _commit(world: FaultyWorld, pod: Pod) -> None:
    async with pod.begin_container_add(world.container("new")) as pending:
        started = await (await pending.prepare()).start()
        await pod.commit_container_add(started)


async def _abort(world: FaultyWorld, pod: Pod) -> None:
    pending = await pod.begin_container_add(world.container("new"))
    await pending.start()
    await pod.abort_container_add("new")


async def _add(world: FaultyWorld, pod: Pod) -> None:
    await pod.add_container(world.container("new"))


async def _wait(world: FaultyWorld, pod: Pod) -> None:
    await pod.add_container(world.container("new", "echo", "text"))
    await pod.wait_container("new")


async def _detach(world: FaultyWorld, pod: Pod) -> None:
    await pod.add_container(world.container("new", "echo", "text"))
    await pod.detach_container_for_wait("new").wait_with_output()


async def _exec(world: FaultyWorld, pod: Pod) -> None:
    async with await pod.container("old").exec("echo", "text") as process:
        await process.wait_with_output()


async def _write(world: FaultyWorld, pod: Pod) -> None:
    await pod.write_empty_dir_file("work", "a/b", b"data")


async def _copy(world: FaultyWorld, pod: Pod) -> None:
    source = world.scratch / "source"
    source.write_text("text")
    await pod.container("old").copy_in(source, "/tmp/copy")
    await pod.container("old").copy_out("/tmp/copy", world.scratch / "back")


async def _forward(world: FaultyWorld, pod: Pod) -> None:
    async with pod.forward(PORT) as port:
        assert pod.forwarded_ports() == (port,)
    assert pod.forwarded_ports() == ()


async def _probe(world: FaultyWorld, pod: Pod) -> None:
    async with pod.events() as events:
        await pod.add_container(world.probed("new"))
        while (event := await events.next_event()) is not None:
            if isinstance(event, ContainerReadinessChanged | PodPhaseChanged):
                break


async def _remove(world: FaultyWorld, pod: Pod) -> None:
    await pod.remove_container("old")


async def _restart(world: FaultyWorld, pod: Pod) -> None:
    await pod.container("old").stop(0)
    await pod.restart_container("old")


async def _trim(world: FaultyWorld, pod: Pod) -> None:
    await pod.trim_store()


async def _usage(world: FaultyWorld, pod: Pod) -> None:
    await pod.store_used_bytes()
    await pod.stats()
    await pod.store_breakdown()


async def _stop(world: FaultyWorld, pod: Pod) -> None:
    await pod.stop()


async def _shutdown(world: FaultyWorld, pod: Pod) -> None:
    await pod.shutdown_trimming_store()


async def _spawn(world: FaultyWorld, pod: Pod) -> None:
    await pod.stop()
    again = await world.pod()
    await again.stop()


USE_CASES: dict[str, Step] = {
    "spawn": _spawn,
    "begin": _begin,
    "prepare": _prepare,
    "start": _start,
    "commit": _commit,
    "abort": _abort,
    "add": _add,
    "wait": _wait,
    "detach": _detach,
    "exec": _exec,
    "write": _write,
    "copy": _copy,
    "forward": _forward,
    "probe": _probe,
    "remove": _remove,
    "restart": _restart,
    "trim": _trim,
    "usage": _usage,
    "stop": _stop,
    "shutdown": _shutdown,
}

ENDS_THE_POD = frozenset({"spawn", "stop", "shutdown"})

IN_STAGES = frozenset({"spawn", "begin", "prepare", "start", "add"})
"""Those whose errors tell which stage failed."""
