"""Which entries of a log are in view while others come, go and are filtered."""

from __future__ import annotations

from tui_trainer.runs.describe import LogEntry
from tui_trainer.runs.log import MOST_ENTRIES, RunLog
from tui_trainer.ui.run.log_window import LogWindow


def save(step: int) -> LogEntry:
    return LogEntry(f"checkpoint saved at step {step}", "detail", step=step, saves=1)


def window_of(*entries: LogEntry) -> LogWindow:
    window = LogWindow()
    for entry in entries:
        window.add(entry)
    return window


def notes(count: int) -> list[LogEntry]:
    return [LogEntry(f"line {number}") for number in range(count)]


def test_a_match_goes_along_with_the_line_of_saves_that_grows() -> None:
    window = window_of(*notes(3), save(10))
    window.search("saved", 0, 10)
    assert (window.found, window.search_state) == (3, (1, 1))
    window.add(LogEntry("epoch 1", "detail", is_validation=True))
    window.add(save(20))
    assert window.shown[-1].text == "2 checkpoints saved, last at step 20"
    assert (window.found, window.search_state) == (4, (1, 1))


def test_earlier_entries_move_neither_the_view_nor_the_match() -> None:
    window = window_of(*notes(20))
    window.search("line 5", 0, 10)
    window.scroll(-3, 1)
    last, found = window.shown[window.end - 1], window.shown[window.found or 0]
    earlier = RunLog()
    for entry in notes(7):
        earlier.add(entry)
    window.put_before(earlier)
    assert len(window.shown) == 27
    assert window.shown[window.end - 1] is last
    assert window.shown[window.found or 0] is found
    assert window.search_state == (2, 2)


def test_what_is_dropped_from_a_full_log_moves_the_view_along() -> None:
    window = window_of(*notes(MOST_ENTRIES + 900))
    window.search("line 50000", 0, 10)
    last = window.shown[window.end - 1]
    for entry in notes(200):
        window.add(entry)
    assert len(window.shown) < MOST_ENTRIES + 300
    assert window.shown[window.end - 1] is last
    assert window.shown[window.found or 0].text == "line 50000"
