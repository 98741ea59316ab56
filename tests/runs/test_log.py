"""The entries of a run's log: one per validation, one for consecutive saves, and a bound."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tui_trainer.runs.describe import LogEntry, level_of
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    StateChanged,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.journal import encode
from tui_trainer.runs.log import MOST_ENTRIES, EarlierEvents, RunLog, passes


def validation(step: int, *, improved: bool = False, on_demand: bool = False) -> ValidationEnded:
    return ValidationEnded(
        step, step, 1.0, {"loss": 1.0}, 0.1, improved, 0, on_demand=on_demand, at_s=1e9 + step
    )


def save(step: int, *, best: bool = False) -> CheckpointSaved:
    return CheckpointSaved(step, f"step-{step:08}.pt", 620_000, 0.01, best, at_s=1e9 + step)


def filled(events: Iterable[Event], steps_per_epoch: int = 0) -> RunLog:
    log = RunLog(steps_per_epoch)
    for event in events:
        for entry in log.entries_of(event):
            log.add(entry)
    return log


def texts(events: Iterable[Event], steps_per_epoch: int = 0) -> list[str]:
    return [entry.text for entry in filled(events, steps_per_epoch).entries]


def test_every_validation_is_kept() -> None:
    lines = texts(validation(step) for step in range(1, 5001))
    assert len(lines) == 5000
    assert lines[0] == "epoch 1: val loss 1.000"
    assert lines[4998:] == ["epoch 4,999: val loss 1.000", "epoch 5,000: val loss 1.000"]


def test_consecutive_saves_are_one_entry_also_around_validations() -> None:
    events = [event for step in range(100, 1300, 100) for event in (validation(step), save(step))]
    log = filled(events)
    assert [entry.text for entry in log.entries[-2:]] == [
        "epoch 1,200: val loss 1.000",
        "12 checkpoints saved, last at step 1,200",
    ]
    assert len(log.entries) == 13
    assert log.entries[-1].at_s == 1e9 + 1200


def test_a_single_save_says_its_size_and_whether_it_is_the_best() -> None:
    assert texts([save(7)]) == ["checkpoint saved at step 7 (620 kB)"]
    assert texts([save(7, best=True)]) == ["checkpoint of the best saved at step 7 (620 kB)"]


def test_anything_but_a_validation_ends_a_sequence_of_saves() -> None:
    edit = Edited(3, "optimizer.lr", 0.1, 0.2, "you", None)
    assert texts([save(1), save(2), save(3), edit, save(4), validation(5), save(6)]) == [
        "3 checkpoints saved, last at step 3",
        "optimizer.lr 0.1 -> 0.2 by you, from step 4",
        "epoch 5: val loss 1.000",
        "2 checkpoints saved, last at step 6",
    ]


def test_the_log_says_who_asked_where_it_was_somebody_else() -> None:
    asked = [
        CommandAccepted(1, "a", "pause", "ctl (eve@box/7)"),
        CommandAccepted(2, "b", "save", "you"),
        CommandAccepted(3, "c", "set", "ctl (eve@box/7)"),
        Edited(3, "optimizer.lr", 0.1, 0.2, "ctl (eve@box/7)", None),
        CommandApplied(3, "e", "set", "you", "no such key"),
        CommandAccepted(4, "d", "stop", "SIGTERM"),
    ]
    assert texts(asked) == [
        "pause: requested by ctl (eve@box/7)",
        "optimizer.lr 0.1 -> 0.2 by ctl (eve@box/7), from step 4",
        "change refused: no such key",
        "stop: requested by SIGTERM",
    ]


def test_a_validation_within_an_epoch_is_told_by_its_step() -> None:
    events = [
        ValidationEnded(step, 2, 1.0, {"loss": 1.0}, 0.1, False, 0, on_demand=True)
        for step in (15, 20)
    ]
    assert texts(events, steps_per_epoch=10) == [
        "step 15: val loss 1.000, on demand",
        "epoch 2: val loss 1.000, on demand",
    ]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (validation(5), "detail"),
        (validation(5, improved=True), "note"),
        (validation(5, on_demand=True), "note"),
        (save(5), "detail"),
        (StateChanged(5, "paused", "saved at step 5"), "note"),
        (CommandApplied(5, "id", "save", "you"), "note"),
        (CommandApplied(5, "id", "save", "you", "no"), "warning"),
        (Notice(5, "3 threads", "warning"), "warning"),
        (NonFinite(5, 1, "the loss is NaN", ()), "error"),
        (RunEnded(5, "failed", "out of memory", 1, "", 1.0, 1), "error"),
        (RunEnded(5, "finished", "5 steps are done", 1, "", 1.0, 0), "note"),
    ],
)
def test_levels_tell_what_matters_from_what_happens_again_and_again(
    event: Event, level: str
) -> None:
    actual = level_of(event)
    assert actual == level
    limits = {
        "detail": (True, False, False),
        "note": (True, True, False),
        "warning": (True, True, True),
        "error": (True, True, True),
    }[level]
    assert (
        passes(actual, "all"),
        passes(actual, "important"),
        passes(actual, "warnings"),
    ) == limits


def test_the_oldest_entries_are_dropped_from_a_very_long_log() -> None:
    log = RunLog()
    for step in range(MOST_ENTRIES + 1500):
        log.add(LogEntry("x", step=step))
        log.drop_oldest()
    assert len(log.entries) == MOST_ENTRIES + 500
    assert [log.entries[0].step, log.entries[-1].step] == [1000, MOST_ENTRIES + 1499]


# Events from before those that a session has seen.


STARTED = RunStarted(0, 1, "run", "cpu", 9, 48, 10, 40, 0)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run-1")
    make_skeleton(run)
    return run


def write(run: RunDirectory, events: Iterable[Event]) -> int:
    """Append events to the file of a run; returns its size."""
    with run.events.open("ab") as file:
        file.write(encode([to_dict(event) for event in events]))
        return file.tell()


def test_earlier_events_end_where_the_session_began(run: RunDirectory) -> None:
    size = write(run, [STARTED, validation(10), save(10), validation(15), save(15)])
    write(run, [validation(20)])
    log = EarlierEvents(run, size).read()
    assert [entry.text for entry in log.entries[1:]] == [
        "epoch 10: val loss 1.000",
        "step 15: val loss 1.000",
        "2 checkpoints saved, last at step 15",
    ]
    assert log.entries[0].text.startswith("run: 9 parameters")
    assert log.entries[1].at_s == 1e9 + 10
    # A size within a line includes the whole line, because the reader began after it.
    assert EarlierEvents(run, size + 1).read().entries[-1].text == "epoch 20: val loss 1.000"


def test_saves_before_and_after_the_session_began_are_one_entry(run: RunDirectory) -> None:
    log = EarlierEvents(run, write(run, [STARTED, save(10), save(20)])).read()
    for entry in log.entries_of(save(30)):
        log.add(entry)
    assert log.entries[-1].text == "3 checkpoints saved, last at step 30"


def test_of_a_huge_file_the_newest_events_are_read_and_the_rest_is_pointed_to(
    run: RunDirectory,
) -> None:
    size = write(run, [validation(step) for step in range(1, 101)])
    entries = EarlierEvents(run, size).read(most_bytes=2000).entries
    assert entries[0].text == f"{run.command('logs')} prints what came before this"
    assert entries[-1].text == "epoch 100: val loss 1.000"
    assert 5 < len(entries) < 15


def test_damaged_lines_and_a_file_that_is_gone_leave_a_gap(run: RunDirectory) -> None:
    write(run, [validation(1)])
    with run.events.open("ab") as file:
        file.write(b"{broken\n" + b"[1, 2]\n" + b'{"event": "notice", "step": -1}\n')
    size = write(run, [validation(2)])
    lines = [entry.text for entry in EarlierEvents(run, size).read().entries]
    assert lines == ["epoch 1: val loss 1.000", "epoch 2: val loss 1.000"]
    run.events.unlink()
    assert EarlierEvents(run, size).read().entries == []
