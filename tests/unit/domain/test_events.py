"""Events on their way to one who listens."""

from __future__ import annotations

from firkin.domain.events import AgentStopping, EventBuffer, EventsMissed


def test_events_come_in_the_order_in_which_they_were_told() -> None:
    buffer = EventBuffer()
    assert buffer.take() is None
    told = [AgentStopping(float(number)) for number in range(3)]
    for event in told:
        buffer.put(event)
    assert [buffer.take() for _ in range(4)] == [*told, None]


def test_one_who_does_not_keep_up_is_told_how_much_was_missed() -> None:
    buffer = EventBuffer(capacity=2)
    for number in range(5):
        buffer.put(AgentStopping(float(number)))
    assert [buffer.take() for _ in range(4)] == [EventsMissed(3.0, 3), AgentStopping(3.0), AgentStopping(4.0), None]
    # What somebody before had missed is missed as well.
    for event in (EventsMissed(5.0, 7), AgentStopping(6.0), AgentStopping(7.0)):
        buffer.put(event)
    assert buffer.take() == EventsMissed(6.0, 7)
