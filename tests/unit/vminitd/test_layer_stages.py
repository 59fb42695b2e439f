"""Stages, and the workers behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from firkin.vminitd.layers.stages import Processors, Stage, Workers

DEADLINE_SECONDS = 30.0
MANY = 500


class Recorder:
    """Takes pieces, and notes which came and whether ever two at once."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.threads: set[str] = set()
        self.were_two = False
        self._at_work = threading.Lock()

    def take(self, piece: int) -> None:
        if not self._at_work.acquire(blocking=False):
            self.were_two = True
            return
        self.taken.append(piece)
        self.threads.add(threading.current_thread().name)
        self._at_work.release()


def held_up() -> tuple[threading.Event, threading.Event, Callable[[int], None]]:
    """Events: a thread is at work, and it may go on; and the work of it."""
    at_work, may_go_on = threading.Event(), threading.Event()

    def take(_: int) -> None:
        at_work.set()
        assert may_go_on.wait(DEADLINE_SECONDS)

    return at_work, may_go_on, take


def put_all(stage: Stage[int]) -> None:
    for piece in range(MANY):
        stage.put(piece)


@pytest.mark.parametrize("threads", [1, 2])
def test_pieces_are_taken_in_order_and_one_at_a_time(threads: int) -> None:
    one, other = Recorder(), Recorder()
    with Workers(Processors(threads + 1)) as workers:
        stages = [workers.stage(one.take), workers.stage(other.take)]
        for piece in range(MANY):
            for stage in stages:
                stage.put(piece)
        for stage in stages:
            stage.drain()
    for recorder in (one, other):
        assert recorder.taken == list(range(MANY))
        assert not recorder.were_two


def test_what_comes_in_few_pieces_is_taken_by_the_caller() -> None:
    recorder = Recorder()
    with Workers() as workers:
        stage = workers.stage(recorder.take, held=2)
        stage.put(1)
        stage.put(2)
        assert not workers.have_begun
        stage.drain()
        assert not workers.have_begun
    assert recorder.taken == [1, 2]
    assert recorder.threads == {threading.current_thread().name}


def test_without_a_free_processor_the_caller_takes_everything_as_it_comes() -> None:
    processors = Processors(2)
    recorder, other = Recorder(), Recorder()
    with Workers(processors) as first, Workers(processors) as second:
        stage, beside = first.stage(recorder.take), second.stage(other.take, held=0)
        for piece in range(MANY):
            stage.put(piece)
            beside.put(piece)
            assert other.taken[-1] == piece
        stage.drain()
        assert not first.have_begun
        assert not second.have_begun
    assert recorder.taken == other.taken == list(range(MANY))
    assert recorder.threads == other.threads == {threading.current_thread().name}


def test_a_thread_begins_when_another_caller_gives_its_processor_back() -> None:
    processors = Processors(2)
    recorder = Recorder()
    with Workers(processors) as workers:
        stage = workers.stage(recorder.take, held=0)
        with Workers(processors):
            stage.put(0)
            assert not workers.have_begun
        stage.put(1)
        assert workers.have_begun
        stage.drain()
    assert recorder.taken == [0, 1]


def test_a_thread_begins_while_another_caller_lends_its_processor() -> None:
    processors = Processors(2)
    recorder = Recorder()
    with Workers(processors) as workers, Workers(processors):
        stage = workers.stage(recorder.take, held=0)
        stage.put(0)
        assert not workers.have_begun
        with processors.lent():
            stage.put(1)
            assert workers.have_begun
            assert processors.are_enough
        assert not processors.are_enough
        stage.put(2)
        stage.drain()
    assert recorder.taken == [0, 1, 2]
    assert [processors.take() for _ in range(3)] == [True, True, False]


def test_a_processor_that_was_lent_is_asked_back_after_a_failure() -> None:
    processors = Processors(1)
    processors.occupy()

    def wait_in_vain() -> None:
        with processors.lent():
            assert processors.take()
            raise OSError("nothing came")

    with pytest.raises(OSError, match="nothing came"):
        wait_in_vain()
    assert not processors.are_enough


def test_nothing_is_lost_when_another_caller_comes_and_goes() -> None:
    processors = Processors(2)
    recorder = Recorder()
    with Workers(processors) as workers:
        stage = workers.stage(recorder.take, held=0)
        for piece in range(MANY):
            if piece % 10 == 0:
                with Workers(processors):
                    stage.put(piece)
            else:
                stage.put(piece)
        stage.drain()
    assert recorder.taken == list(range(MANY))
    assert not recorder.were_two


def test_processors_are_given_back_whatever_happens() -> None:
    processors = Processors(2)

    def fail() -> None:
        with Workers(processors) as workers:
            workers.stage(Recorder().take, held=0).put(0)
            assert workers.have_begun
            raise ValueError("the only one")

    for _ in range(3):
        with pytest.raises(ValueError, match="the only one"):
            fail()
    assert [processors.take() for _ in range(3)] == [True, True, False]


def test_a_stage_goes_on_after_it_was_drained() -> None:
    recorder = Recorder()
    with Workers() as workers:
        stage = workers.stage(recorder.take)
        for piece in range(MANY):
            stage.put(piece)
            if piece % 100 == 0:
                stage.drain()
                assert recorder.taken[-1] == piece
        stage.drain()
    assert recorder.taken == list(range(MANY))


def test_the_caller_takes_what_waits_while_the_only_thread_is_elsewhere() -> None:
    at_work, may_go_on, take = held_up()
    recorder = Recorder()
    with Workers(Processors(2)) as workers:
        waiting, slow = workers.stage(recorder.take), workers.stage(take, held=0)
        slow.put(0)
        assert at_work.wait(DEADLINE_SECONDS)
        put_all(waiting)
        waiting.drain()
        assert recorder.taken == list(range(MANY))
        may_go_on.set()
        slow.drain()
    assert recorder.threads == {threading.current_thread().name}


def test_the_caller_waits_for_a_place_when_there_is_nothing_else_to_do() -> None:
    at_work, may_go_on, take = held_up()
    put: list[int] = []

    def filled() -> None:
        with Workers(Processors(2)) as workers:
            stage = workers.stage(take, held=0)
            for piece in range(MANY):
                stage.put(piece)
                put.append(piece)
            stage.drain()

    caller = threading.Thread(target=filled)
    caller.start()
    assert at_work.wait(DEADLINE_SECONDS)
    assert len(put) <= 8
    may_go_on.set()
    caller.join(DEADLINE_SECONDS)
    assert put == list(range(MANY))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_failure_is_told_by_what_comes_next_and_nothing_more_is_taken(threads: int) -> None:
    taken: list[int] = []

    def take(piece: int) -> None:
        taken.append(piece)
        if piece == 50:
            raise ValueError("the fiftieth")

    with Workers(Processors(threads + 1)) as workers:
        stage = workers.stage(take)
        with pytest.raises(ValueError, match="the fiftieth"):
            put_all(stage)
        for _ in range(2):
            with pytest.raises(ValueError, match="the fiftieth"):
                stage.drain()
    assert taken == list(range(51))


def test_leaving_ends_the_threads_and_takes_nothing_more() -> None:
    at_work, may_go_on, take = held_up()
    taken: list[int] = []

    def noted(piece: int) -> None:
        taken.append(piece)
        take(piece)

    def left() -> None:
        with Workers(Processors(2)) as workers:
            stage = workers.stage(noted, held=0)
            for piece in range(5):
                stage.put(piece)
            assert at_work.wait(DEADLINE_SECONDS)
            threading.Thread(target=released, args=[workers]).start()

    def released(workers: Workers) -> None:
        # The block is being left: only then may the thread go on.
        while not workers.were_left:
            pass
        may_go_on.set()

    before = set(threading.enumerate())
    left()
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_SECONDS)
    assert taken == [0]
    assert set(threading.enumerate()) <= before


def test_the_seconds_of_work_are_counted() -> None:
    with Workers() as workers:
        stage = workers.stage(Recorder().take)
        put_all(stage)
        stage.drain()
    assert stage.seconds > 0
