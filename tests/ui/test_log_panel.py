"""The log of the run screen: following, scrolling, filter, search, and earlier events."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.runs import test_log as logs
from tests.runs.test_log import STARTED, write
from tests.ui.composing import until
from tests.ui.host import Host, drive
from tests.ui.runs import an_ending, some_events
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Edited, Event, Notice
from tui_trainer.runs.log import EarlierEvents
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.log_panel import AT_ONCE_BYTES, Log
from tui_trainer.ui.shared.search_bar import SearchBar

UNDATED = replace(STARTED, at_s=0.0)
"""Without a time, or it would have a line with its day when that ends meanwhile."""


def validation(step: int) -> Event:
    """A validation at an unknown time, so that it has no line with its day."""
    return replace(logs.validation(step), at_s=0.0)


def save(step: int) -> Event:
    """A save at an unknown time."""
    return replace(logs.save(step), at_s=0.0)


def title(host: Host) -> str:
    """The line above the log."""
    at = host.running.query_one(Log).region.y
    return host.text.splitlines()[at]


def rows(host: Host) -> list[str]:
    """The rows of the log without their times."""
    region = host.running.query_one(Log).region
    lines = host.text.splitlines()[region.y + 1 : region.bottom]
    return [line[10:].rstrip() for line in lines if line.strip()]


def test_the_log_has_the_time_at_which_things_happened_and_the_day_where_it_changes() -> None:
    noon = datetime(2026, 3, 1, 12).timestamp()
    told = [
        Notice(1, "the day before", at_s=noon - 86_400),
        Notice(2, "an hour later", at_s=noon - 82_800),
        Notice(3, "today", at_s=noon),
        Notice(4, "nobody knows when", at_s=0),
    ]

    async def play(host: Host, pilot: Pilot[None]) -> None:
        log = host.running.query_one(Log)
        log.styles.height = 8
        await host.happen(pilot, *told)
        rows = [row.rstrip() for row in host.text.splitlines()]
        at = rows.index("          2026-02-28")
        assert rows[at + 1 : at + 6] == [
            "12:00:00  the day before",
            "13:00:00  an hour later",
            "          2026-03-01",
            "12:00:00  today",
            "          nobody knows when",
        ]

    drive(play, *some_events())


def test_the_log_follows_its_end_unless_it_was_scrolled_up() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *(Notice(1, f"line {n}") for n in range(30)))
        assert "line 29" in host.text
        host.running.query_one(Log).focus()
        await pilot.press("pageup", "up")
        assert "line 29" not in host.text
        assert "more below" in host.text
        shown = [line for line in host.text.splitlines() if "line 2" in line]
        await host.happen(pilot, Notice(1, "line 30"))
        assert [line for line in host.text.splitlines() if "line 2" in line] == shown
        await pilot.press("end")
        assert "line 30" in host.text

    drive(play, *some_events())


def test_l_shows_the_whole_log_and_back() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("l")
        assert host.running.query_one(Log).size.height > 15
        assert host.running.query_one(Log).has_focus
        await pilot.press("escape")
        assert host.running.query_one(Plots).size.height > 5
        await pilot.press("l", "l")
        assert host.running.query_one(Plots).has_focus

    drive(play, *some_events())


def lines(count: int, level: str = "note") -> list[Event]:
    return [Notice(1, f"line {number}", level) for number in range(count)]  # type: ignore[arg-type]


def test_scrolled_up_it_stays_put_while_saves_are_taken_in_below_and_above() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *lines(20), save(20), validation(21))
        host.running.query_one(Log).focus()
        await pilot.press("up", "up", "up")
        shown = rows(host)
        assert shown[-1] == "line 18"
        for step in range(30, 40):
            await host.happen(pilot, save(step), validation(step))
        assert rows(host) == shown
        # One entry was below already; the save there moved behind the ten validations.
        assert "13 more below" in title(host)
        await pilot.press("end")
        await pilot.pause()
        assert "more below" not in title(host)
        assert rows(host)[-1] == "step 39: val loss 1.000"

    drive(play, *some_events(5))


def test_the_filter_goes_from_all_to_what_matters_to_warnings_and_shows_which() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        log = host.running.query_one(Log)
        await pilot.press("l")
        edit = Edited(3, "optimizer.lr", 0.1, 0.2, "you", None)
        await host.happen(pilot, validation(2), save(2), edit, Notice(3, "odd", "warning"))
        assert rows(host)[-4:-2] == [
            "step 2: val loss 1.000",
            "checkpoint saved at step 2 (620 kB)",
        ]
        await pilot.press("i")
        await pilot.pause()
        assert "log  important" in title(host)
        important = rows(host)
        assert "step 2: val loss 1.000" not in important
        assert important[-2:] == ["optimizer.lr 0.1 -> 0.2 by you, from step 4", "warning: odd"]
        await pilot.press("i")
        await pilot.pause()
        assert "log  warnings and errors" in title(host)
        assert [row for row in rows(host) if not row.startswith("warning: ")] == []
        await host.happen(pilot, validation(4), Notice(4, "hot", "error"))
        assert rows(host)[-1] == "error: hot"
        await pilot.press("i")
        await pilot.pause()
        assert rows(host)[-2:] == ["step 4: val loss 1.000", "error: hot"]
        assert log.entries[-1].text == "error: hot"

    drive(play, *some_events(5))


def test_a_filter_that_nothing_passes_says_so() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("i", "i")
        await pilot.pause()
        assert "log  no warnings or errors yet" in title(host)
        await host.happen(pilot, Notice(5, "odd", "warning"))
        assert "log  warnings and errors" in title(host)

    drive(play, *list(some_events(5))[1:])


def test_a_filter_keeps_the_place_that_was_scrolled_to() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        events = [it for number in range(50) for it in (validation(number), *lines(1))]
        await host.happen(pilot, *events, *lines(40, "warning"))
        host.running.query_one(Log).focus()
        await pilot.press(*["up"] * 39)
        await pilot.pause()
        assert rows(host)[-1] == "warning: line 0"
        await pilot.press("i", "i")
        await pilot.pause()
        assert rows(host)[-1] == "warning: line 0"
        assert "39 more below" in title(host)

    drive(play, *some_events(5))


def test_a_filter_that_leaves_nothing_follows_the_newest_entry_again() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("l", "up", "up", "i", "i")
        log = host.running.query_one(Log)
        assert rows(host) == []
        await pilot.press("i")
        await pilot.pause()
        assert rows(host)[-1] == log.entries[-1].text
        assert "more below" not in title(host)

    events = [event for event in some_events(30) if not isinstance(event, Notice)]
    drive(play, *events)


def test_the_small_log_follows_again_after_the_full_one_was_read() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *lines(30))
        await pilot.press("l", "home")
        await pilot.pause()
        # The oldest entry is at the top, and the page is full.
        assert rows(host)[0] == host.log_lines[0]
        assert len(rows(host)) == host.running.query_one(Log).size.height - 1
        assert rows(host)[-1] == "line 15"
        await pilot.press("escape")
        await pilot.pause()
        assert rows(host)[-1] == "line 29"

    drive(play, *some_events(5))


async def search(host: Host, pilot: Pilot[None], text: str) -> None:
    await pilot.press("slash")
    await pilot.pause()
    assert host.running.query_one(SearchBar).query_one(Input).has_focus
    await pilot.press(*text)
    await pilot.pause()


def test_a_search_goes_to_the_newest_match_and_n_and_shift_n_go_on() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *lines(100))
        await search(host, pilot, "LINE 4")
        assert "LINE 4: 11 of 11" in title(host)
        assert "line 49" in rows(host)
        await pilot.press("enter")
        assert host.running.query_one(Log).has_focus
        for key, place, row in (
            ("n", 1, "line 4"),
            ("n", 2, "line 40"),
            ("N", 1, "line 4"),
            ("N", 11, "line 49"),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert f"{place} of 11" in title(host)
            assert row in rows(host)
        shown = rows(host)
        await host.happen(pilot, Notice(1, "line 400"))
        assert "11 of 12" in title(host)
        assert rows(host) == shown

    drive(play, *some_events(5))


def test_the_hint_of_a_search_fits_80_columns() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("slash")
        await pilot.pause()
        assert "search in the log: a word; enter goes there, then n and N; esc ends it" in host.text

    drive(play, *some_events(5))


def test_matches_are_marked_and_the_current_one_more_strongly() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, Notice(1, "one apple, an Apple"), Notice(1, "an apple"))
        await search(host, pilot, "apple")
        log = host.running.query_one(Log)
        marked = {
            (segment.text, bool(segment.style and segment.style.reverse))
            for y in range(log.size.height)
            for segment in log.render_line(y)
            if segment.text.lower() == "apple"
        }
        assert marked == {("apple", False), ("Apple", False), ("apple", True)}

    drive(play, *some_events(5))


def test_a_search_without_a_match_says_so_and_escape_ends_it() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await search(host, pilot, "zebra")
        assert "zebra: not found" in title(host)
        await pilot.press("escape")
        await pilot.pause()
        assert "zebra" not in host.text
        assert host.running.query_one(Log).has_focus
        await pilot.press("escape")
        await pilot.pause()
        assert host.running.query_one(Plots).has_focus

    drive(play, *some_events(5))


def test_the_results_can_be_left_for_a_search_and_come_back() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        await search(host, pilot, "best")
        assert "of 20" in title(host)
        await pilot.press("enter", "escape", "escape")
        await pilot.pause()
        assert host.running.query_one(Ending).has_focus

    drive(play, *some_events(460))


def test_a_run_that_ends_leaves_its_results_beneath_an_open_search() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await search(host, pilot, "be")
        await host.happen(pilot, an_ending())
        await pilot.press("s", "t")
        await pilot.pause()
        assert host.running.query_one(SearchBar).query_one(Input).value == "best"
        assert "best: " in title(host)
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert host.running.query_one(Ending).has_focus

    drive(play, *some_events(460))


def test_a_word_that_arrives_at_once_is_searched_in_a_run_that_has_ended() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        for key in ("slash", *"saved"):
            host.simulate_key(key)
        await pilot.pause()
        await pilot.pause()
        assert host.running.query_one(SearchBar).query_one(Input).value == "saved"
        assert host.told == []

    drive(play, *some_events(5))


def test_letters_of_a_search_are_no_commands() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await search(host, pilot, "pnis")
        assert host.running.query_one(SearchBar).query_one(Input).value == "pnis"
        assert host.session.sent == []

    drive(play, *some_events(5))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run-1")
    make_skeleton(run)
    return run


def test_what_came_before_a_resume_is_above_what_happens_now(run: RunDirectory) -> None:
    earlier = [UNDATED, *(validation(step) for step in (10, 20, 30)), save(30)]
    before = EarlierEvents(run, write(run, earlier))

    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.session.earlier = before
        await host.happen(pilot, save(40), Notice(41, "now"))
        await until(pilot, lambda: "epoch 30: val loss 1.000" in host.log_lines)
        assert host.log_lines[0].startswith("run: 9 parameters")
        at = host.log_lines.index("epoch 10: val loss 1.000")
        assert host.log_lines[at + 1] == "epoch 20: val loss 1.000"
        assert host.log_lines[-1] == "now"

    drive(play)


def test_a_long_past_is_read_when_somebody_looks_for_it(run: RunDirectory) -> None:
    size = write(run, [UNDATED, *(validation(step) for step in range(1, 3001))])
    assert size > AT_ONCE_BYTES

    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.session.earlier = EarlierEvents(run, size)
        await host.happen(pilot, *lines(30))
        assert len(host.log_lines) == 30
        host.running.query_one(Log).focus()
        await pilot.press("up")
        await pilot.pause()
        shown = rows(host)
        await until(pilot, lambda: len(host.log_lines) > 3000)
        await pilot.pause()
        assert rows(host) == shown
        await pilot.press("home")
        await pilot.pause()
        assert rows(host)[0].startswith("run: 9 parameters")
        await search(host, pilot, "step 1,999")
        await until(pilot, lambda: "step 1,999: 1 of 1" in title(host))

    drive(play)
