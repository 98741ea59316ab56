"""A session in this process: its last event is the last, and what it keeps is bounded."""

from __future__ import annotations

from typing import NoReturn

from tui_trainer.runs.commands import Save
from tui_trainer.runs.events import RunEnded, StepsTaken
from tui_trainer.sessions.local import KEPT_STEPS, LocalSession


def full_disk() -> NoReturn:
    raise OSError(28, "No space left on device", "metrics.jsonl")


def steps_taken(step: int, count: int) -> StepsTaken:
    numbers = (0.5,) * count
    return StepsTaken(step, 7, 90.0, numbers, numbers, numbers, 1.0, 0.0)


def test_a_disk_that_refuses_a_file_is_no_bug_and_ends_in_3() -> None:
    session = LocalSession(full_disk)
    session.start()
    session.join()
    events, _ = session.events(0)
    assert session.exit_code == 3
    assert not session.traceback
    assert isinstance(events[-1], RunEnded)
    assert "No space left" in events[-1].reason


def test_nothing_follows_the_end() -> None:
    session = LocalSession(full_disk)
    session.start()
    session.join()
    session.send(Save())
    assert isinstance(session.events(0)[0][-1], RunEnded)
    assert session.control.take() is None


def test_a_failed_run_ends_with_the_time_and_epoch_it_had() -> None:
    def prepare() -> NoReturn:
        session.emit(steps_taken(40, 1))
        full_disk()

    session = LocalSession(prepare)
    session.start()
    session.join()
    ended = session.events(0)[0][-1]
    assert isinstance(ended, RunEnded)
    assert (ended.step, ended.epoch, ended.elapsed_s) == (40, 7, 90.0)


def test_numbers_of_a_long_run_are_not_all_kept() -> None:
    session = LocalSession(full_disk)
    for report in range(300):
        session.emit(steps_taken(report, 1000))
    events, cursor = session.events(0)
    assert cursor == 300
    assert sum(len(e.losses) for e in events if isinstance(e, StepsTaken)) == KEPT_STEPS
    assert session.events(299)[0] == events[-1:]
