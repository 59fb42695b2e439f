"""Ctrl-C, callbacks, and a runtime that is left under a call."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from firkin.domain.image import ImageBundle, Platform
from firkin.domain.lifecycle import ContainerPhase, PodPhase
from firkin.domain.process import Stdio
from firkin.errors import RuntimeClosed
from firkin.sync import InputStream, Pod, Runtime, open_runtime
from firkin.sync.loop_thread import LoopThread

from .runtimes import SyncWorld, interrupter, press_control_c


class SlowImages:
    """An image source that never answers, and remembers how it was asked to give up."""

    scheme = "slow"

    def __init__(self, *, presses: int = 0, cancellations: int = 1) -> None:
        self.asked = threading.Event()
        self.cancelled = 0
        self._presses = presses
        self._cancellations = cancellations

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Press Ctrl-C as often as was asked for, once for each wait, and wait."""
        self.asked.set()
        while True:
            if self._presses > self.cancelled:
                press_control_c()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                if self.cancelled == self._cancellations:
                    raise


def test_control_c_cancels_the_call_and_goes_on() -> None:
    images = SlowImages(presses=1)
    world = SyncWorld(None, images)
    with open_runtime(world.config) as runtime:
        with pytest.raises(KeyboardInterrupt):
            runtime.images.resolve("slow:x")
        assert images.cancelled == 1
        # The runtime is as good as before.
        assert runtime.images.resolve("memory:demo") == world.bundle


def test_a_second_control_c_does_not_wait_for_the_undoing() -> None:
    images = SlowImages(presses=2, cancellations=2)
    with open_runtime(SyncWorld(None, images).config) as runtime:
        with pytest.raises(KeyboardInterrupt):
            runtime.images.resolve("slow:x")
        assert images.cancelled == 1
    assert images.cancelled == 2


def _waited_for(pod: Pod) -> None:
    """Have the container press Ctrl-C, and wait for its end meanwhile."""
    _stdin(pod).write(b"now")
    pod.container("a").wait()


def _stdin(pod: Pod) -> InputStream:
    stdin = pod.container("a").stdin
    assert stdin is not None
    return stdin


def test_control_c_while_a_container_is_waited_for_leaves_it_running() -> None:
    world = SyncWorld({"interrupter": interrupter})
    spec = world.pod(world.container("a", "interrupter").stdin(Stdio.PIPED))
    with open_runtime(world.config) as runtime, runtime.spawn(spec) as pod:
        with pytest.raises(KeyboardInterrupt):
            _waited_for(pod)
        assert pod.container("a").state is ContainerPhase.RUNNING
        _stdin(pod).aclose()
        assert pod.container("a").wait().success


def test_control_c_through_everything_leaves_nothing() -> None:
    world = SyncWorld({"interrupter": interrupter})
    spec = world.pod(world.container("a", "interrupter").stdin(Stdio.PIPED), world.container("b", "stubborn"))
    pods = []

    def program() -> None:
        with open_runtime(world.config) as runtime, runtime.spawn(spec) as pod:
            pods.append(pod)
            _waited_for(pod)

    with pytest.raises(KeyboardInterrupt):
        program()
    assert pods[0].state is PodPhase.STOPPED
    assert world.memory.leftovers() == []


@pytest.mark.parametrize("place", ["vmm.boot before", "agent.prepare_pod after", "agent.start_container before"])
def test_control_c_during_a_spawn_undoes_it(place: str) -> None:
    world = SyncWorld()
    pressed: list[str] = []

    def press(_: int, passed: str) -> None:
        if passed == place and not pressed:
            pressed.append(passed)
            press_control_c()

    world.memory.faults.on_passage = press
    with open_runtime(world.config) as runtime:
        with pytest.raises(KeyboardInterrupt):
            runtime.spawn(world.pod(world.container("a")))
        # The lifecycle task undoes what it began; a spawn that was done by then is ended with its runtime.
        with runtime.spawn(world.pod(world.container("a"), pod_id="next")) as pod:
            assert pod.state is PodPhase.RUNNING
    assert pressed == [place]
    assert world.memory.leftovers() == []


def _whole_program(world: SyncWorld) -> None:
    with open_runtime(world.config) as runtime:
        bundle = runtime.images.resolve("memory:demo")
        assert bundle == world.bundle
        with runtime.spawn(world.pod(world.container("a"), world.container("b", "echo", "text"))) as pod:
            pod.add_container(world.container("c", "stubborn"))
            assert pod.wait_container("b").stdout == b"text\n"
            with pod.container("a").exec("echo", "hello") as process:
                process.wait_with_output()
            pod.remove_container("c", grace_seconds=0)


def test_control_c_at_any_place_leaves_nothing() -> None:
    places = 0
    for number in itertools.count():
        world = SyncWorld()

        def press(passage: int, _: str, number: int = number) -> None:
            if passage == number:
                press_control_c()

        world.memory.faults.on_passage = press
        try:
            _whole_program(world)
        except KeyboardInterrupt:
            places += 1
            assert world.memory.leftovers() == [], number
        else:
            break
    assert places > 20


def test_control_c_while_pods_are_stopped_ends_their_grace() -> None:
    world = SyncWorld()
    pressed: list[str] = []

    def press(_: int, passed: str) -> None:
        if passed == "agent.kill_process after" and not pressed:
            pressed.append(passed)
            press_control_c()

    with open_runtime(world.config) as runtime:
        pod = runtime.spawn(world.pod(world.container("a", "stubborn")))
        world.memory.faults.on_passage = press
        with pytest.raises(KeyboardInterrupt), pod:
            pass
        assert pod.state is PodPhase.STOPPED
        assert world.memory.leftovers() == []
    assert len(pressed) == 1


def test_a_call_under_way_ends_when_the_runtime_is_left() -> None:
    images = SlowImages()
    with ThreadPoolExecutor(1) as threads:
        with open_runtime(SyncWorld(None, images).config) as runtime:
            asking = threads.submit(runtime.images.resolve, "slow:x")
            images.asked.wait()
        with pytest.raises(RuntimeClosed):
            asking.result()
    assert images.cancelled == 1


class AskingImages:
    """An image source that calls back into the runtime which asks it."""

    scheme = "asking"
    runtime: Runtime

    async def resolve(self, reference: str, platform: Platform) -> ImageBundle:
        """Do what a callback must not."""
        return self.runtime.images.resolve("memory:demo")


def test_a_callback_that_would_wait_for_itself_is_an_error() -> None:
    images = AskingImages()
    with open_runtime(SyncWorld(None, images).config) as runtime:
        images.runtime = runtime
        with pytest.raises(RuntimeError, match="must not wait for the runtime"):
            runtime.images.resolve("asking:x")


def test_what_would_end_the_loop_ends_only_the_call() -> None:
    async def leaving() -> None:
        raise SystemExit(3)

    async def done() -> int:
        return 1

    with LoopThread() as thread:
        with pytest.raises(SystemExit):
            thread.awaited(leaving)
        assert thread.awaited(done) == 1
