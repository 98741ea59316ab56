"""The kept events of a run: bounded, and read by any number of readers with a cursor each."""

from __future__ import annotations

from tui_trainer.runs.events import Notice, StepsTaken
from tui_trainer.sessions.event_log import KEPT_EVENTS, KEPT_STEPS, EventLog


def steps_taken(step: int, count: int) -> StepsTaken:
    numbers = (0.5,) * count
    return StepsTaken(step, 7, 90.0, numbers, numbers, numbers, 1.0, 0.0)


def test_numbers_of_a_long_run_are_not_all_kept() -> None:
    log = EventLog()
    for report in range(300):
        log.append(steps_taken(report, 1000))
    events, cursor = log.since(0)
    assert cursor == 300
    assert sum(len(e.losses) for e in events if isinstance(e, StepsTaken)) == KEPT_STEPS
    assert log.since(299)[0] == events[-1:]
    assert log.newest_steps() == events[-1]


def test_events_come_from_the_cursor_on_and_all_that_are_kept_from_zero() -> None:
    log = EventLog()
    for step in range(5):
        log.append(Notice(step, "x"))
    assert [event.step for event in log.since(0)[0]] == [0, 1, 2, 3, 4]
    events, cursor = log.since(3)
    assert ([event.step for event in events], cursor) == ([3, 4], 5)
    assert log.since(cursor) == ([], 5)


def test_a_reader_who_fell_behind_goes_on_with_the_oldest_event_that_is_kept() -> None:
    log = EventLog()
    for step in range(KEPT_EVENTS + 7):
        log.append(Notice(step, "x"))
    events, cursor = log.since(3)
    assert [events[0].step, events[-1].step, len(events)] == [7, KEPT_EVENTS + 6, KEPT_EVENTS]
    assert cursor == KEPT_EVENTS + 7


def test_waiting_ends_with_the_next_append_and_not_with_what_was_read() -> None:
    log = EventLog()
    log.append(Notice(1, "x"))
    assert log.wait(0)
    log.since(0)
    assert not log.wait(0)
    log.append()
    assert log.wait(0)
