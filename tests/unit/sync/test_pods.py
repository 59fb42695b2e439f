from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from firkin.domain.lifecycle import PodPhase
from firkin.domain.process import Stdio
from firkin.errors import CommandNotFound, ContainerNotFound, ContainerNotPending, RuntimeClosed
from firkin.sync import FirkinError, OutputStream, Pod, open_runtime

from .runtimes import SyncWorld


def test_a_pod_is_spawned_waited_for_and_stopped() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime:
        assert runtime.capabilities().vmm
        assert runtime.images.resolve("memory:demo") == world.bundle
        with runtime.spawn(world.pod(world.container("a", "echo", "hello"))) as pod:
            assert pod.wait_container("a").stdout == b"hello\n"
            assert [container.id for container in pod.containers()] == ["a"]
            assert repr(pod) == "<Pod pod-1 running>"
        assert pod.state is PodPhase.STOPPED
    assert world.memory.leftovers() == []


def test_a_pod_that_was_not_entered_is_stopped_by_hand() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime:
        pod = runtime.spawn(world.pod(world.container("a", "true")))
        pod.wait_container("a")
        assert pod.stop().clean
        assert world.memory.leftovers() == []


def test_a_container_is_added_in_steps() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime, runtime.spawn(world.pod()) as pod:
        with pod.begin_container_add(world.container("a")) as pending:
            started = pending.prepare().start()
            assert pod.containers() == ()
            assert pod.commit_container_add(started).id == "a"
        with pod.begin_container_add(world.container("b")) as pending:
            pending.start()
        with pytest.raises(ContainerNotFound):
            pod.container("b")
        pod.begin_container_add(world.container("c"))
        pod.abort_container_add("c")
        with pytest.raises(ContainerNotPending):
            pod.commit_container_add(started)


def test_an_exec_takes_and_gives_streams() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime, runtime.spawn(world.pod(world.container("a"))) as pod:
        with pod.container("a").exec("cat", stdin=Stdio.PIPED) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"one\ntwo\n")
            assert process.stdout.read_line() == b"one\n"
            process.stdin.aclose()
            assert b"".join(process.stdout) == b"two\n"
            assert process.wait().success
        with pytest.raises(CommandNotFound):
            pod.container("a").exec("nothing")


def test_leaving_an_iteration_early_leaves_the_stream_readable() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime, runtime.spawn(world.pod(world.container("a"))) as pod:
        process = pod.container("a").exec("cat", stdin=Stdio.PIPED)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one")
        for chunk in process.stdout:
            assert chunk == b"one"
            break
        process.stdin.write(b"two")
        assert process.stdout.read() == b"two"
        process.remove()


def test_many_threads_use_one_pod_at_once() -> None:
    world = SyncWorld()
    count = 24

    def work(pod: Pod, number: int) -> list[str]:
        name = f"c{number}"
        pod.add_container(world.container(name))
        executed = pod.container(name).exec("echo", f"exec {number}").wait_with_output()
        pod.container(name).kill(9)
        killed = pod.wait_container(name).status
        pod.remove_container(name)
        return [executed.stdout.decode(), str(killed.signal)]

    with open_runtime(world.config) as runtime, runtime.spawn(world.pod()) as pod, ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: work(pod, number), range(count)))
        assert results == [[f"exec {number}\n", "9"] for number in range(count)]
        assert pod.containers() == ()
    assert world.memory.leftovers() == []


def test_many_threads_wait_for_one_container() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime:
        pod = runtime.spawn(world.pod(world.container("a", "cat").stdin(Stdio.PIPED)))
        detached = pod.detach_container_for_wait("a")
        with ThreadPoolExecutor(8) as threads:
            waits = [threads.submit(detached.wait_with_output) for _ in range(8)]
            stdin = pod.container("a").stdin
            assert stdin is not None
            stdin.write(b"the same for all")
            stdin.aclose()
            assert {wait.result().stdout for wait in waits} == {b"the same for all"}


def test_two_runtimes_have_a_thread_each() -> None:
    one, other = SyncWorld(), SyncWorld()
    with open_runtime(one.config) as first, open_runtime(other.config) as second:
        pods = [first.spawn(one.pod()), second.spawn(other.pod())]
        assert [pod.id for pod in pods] == ["pod-1", "pod-1"]
        assert sum(thread.name == "firkin runtime" for thread in threading.enumerate()) == 2
    assert not any(thread.name == "firkin runtime" for thread in threading.enumerate())


def test_leaving_the_runtime_stops_the_pods_that_are_left() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as opened, ThreadPoolExecutor(1) as threads:
        with opened as runtime:
            left = [runtime.spawn(world.pod(world.container("a"), pod_id=name)) for name in ("one", "two")]
            waiting = threads.submit(left[0].detach_container_for_wait("a").wait)
        assert not waiting.result().success
    assert [pod.state for pod in left] == [PodPhase.STOPPED, PodPhase.STOPPED]
    assert world.memory.leftovers() == []


def test_an_error_in_the_block_goes_through_and_stops_the_pods() -> None:
    world = SyncWorld()

    def fail() -> None:
        with open_runtime(world.config) as runtime:
            runtime.spawn(world.pod(world.container("a", "stubborn")))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert world.memory.leftovers() == []


def test_whatever_is_used_after_its_runtime_says_so() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime:
        pod = runtime.spawn(world.pod(world.container("a")))
        container = pod.container("a")
        stdout = container.stdout
    assert isinstance(stdout, OutputStream)
    for use in (
        lambda: runtime.spawn(world.pod()),
        runtime.capabilities,
        pod.containers,
        pod.stop,
        container.wait,
        stdout.read,
        lambda: list(stdout),
    ):
        with pytest.raises(RuntimeClosed, match="the runtime is closed"):
            use()
    assert issubclass(RuntimeClosed, FirkinError)
    # What a handle remembers needs no runtime.
    assert (pod.id, pod.state, container.id) == ("pod-1", PodPhase.STOPPED, "a")


def test_errors_are_those_of_the_asynchronous_interface() -> None:
    world = SyncWorld()
    with open_runtime(world.config) as runtime:
        with pytest.raises(CommandNotFound) as caught:
            runtime.spawn(world.pod(world.container("a", "nothing")))
        assert caught.value.pod_id == "pod-1"
    assert world.memory.leftovers() == []
