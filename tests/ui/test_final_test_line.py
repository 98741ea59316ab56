"""The run screen while a run is tested: the second bar, the keys that are left, the questions."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from tests.ui.host import Host, drive
from tests.ui.runs import TOTAL, an_ending, some_events
from tui_trainer.runs.commands import Command, Stop
from tui_trainer.runs.events import Event, MeasurementAdvanced, RunEnded, StateChanged
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.final_test_line import FinalTestLine
from tui_trainer.ui.run.stop_dialog import StopDialog
from tui_trainer.ui.shared.key_line import KeyLine

TESTING = StateChanged(TOTAL, "testing", "360 samples, then 2 baselines")


def measured(part: str, done: int, total: int, following: str = "") -> MeasurementAdvanced:
    return MeasurementAdvanced(TOTAL, part, done, total, "samples", 5.0, following)


def up_to_the_test() -> list[Event]:
    """A run whose test is done by a quarter."""
    return [*some_events(TOTAL), TESTING, measured("test split", 90, 360, "then 2 baselines")]


def lines(host: Host) -> list[str]:
    return [line.rstrip() for line in host.text.splitlines()]


def test_the_test_has_a_bar_of_its_own_below_that_of_the_training() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        heading, training, test, *rest = lines(host)
        assert heading.startswith(" ● digits-cnn-")
        assert "testing 25 %" in heading
        assert heading.endswith("epoch 20/20 · step 460/460 · test done in 15.0 s")
        assert "100 %" in training
        assert test.startswith(" testing ━━━")
        assert test.endswith("─  25 %  test split, 360 samples, then 2 baselines")
        assert any("testing on 360 samples, then 2 baselines" in line for line in rest)
        await host.happen(pilot, measured("validation split", 90, 360))
        assert lines(host)[0].endswith("· validation done in 15.0 s")
        await host.happen(pilot, measured("baseline logistic regression", 0, 0))
        heading, _, test, *_ = lines(host)
        assert "· testing" in heading
        assert "%" not in heading + test
        assert test == " testing   baseline logistic regression"
        await host.happen(pilot, an_ending())
        assert not host.running.query_one(FinalTestLine).display

    drive(play, *up_to_the_test(), size=(100, 30))


def test_a_key_that_can_do_nothing_during_the_test_says_so() -> None:
    why = "all steps are done and saved, and the test is under way; s skips the rest of it"

    async def play(host: Host, pilot: Pilot[None]) -> None:
        for key in ("p", "P", "ctrl+s", "v", "e"):
            host.clear_notifications()
            await pilot.press(key)
            assert host.session.sent == [], key
            assert host.screen is host.running, key
            assert host.told == [why], key
        await host.happen(pilot, an_ending())
        assert host.told == [], "the test is over"

    drive(play, *up_to_the_test())


def test_the_footer_offers_to_skip_and_promises_no_pause() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        footer = host.running.query_one(KeyLine)
        before = lines(host)[footer.region.y]
        assert "p Pause" in before
        await host.happen(pilot, TESTING)
        await pilot.pause()
        now = lines(host)[footer.region.y]
        assert "s Skip test" in now
        assert not any(word in now for word in ("Pause", "Save", "Validate", "Edit"))

    drive(play, *some_events(TOTAL), size=(100, 30))


def test_the_stop_key_skips_the_test_at_once_and_only_once() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        assert [type(command) for command in host.session.sent] == [Stop]
        assert host.screen is host.running
        assert "skip the rest of the test: requested" in host.log_lines

    drive(play, *up_to_the_test())


def test_leaving_asks_and_skips() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.running.ask_to_stop(then_leave=True)
        await pilot.pause()
        assert isinstance(host.screen, StopDialog)
        assert "It is still testing. Leaving skips the rest of the test." in host.text
        assert "skip the test" in host.text
        assert "keep testing" in host.text
        assert "without saving" not in host.text
        await pilot.press("k")
        assert isinstance(host.screen, StopDialog)
        await pilot.press("s")
        await pilot.pause()
        assert [type(command) for command in host.session.sent] == [Stop]
        await host.happen(pilot, an_ending())
        assert len(host.got) == 1

    drive(play, *up_to_the_test())


def test_a_question_that_is_open_when_the_test_begins_is_asked_anew() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "down")
        assert "stop without saving" in host.text
        await host.happen(pilot, TESTING)
        await pilot.pause()
        assert "skip the test" in host.text
        assert "stop without saving" not in host.text
        sent: list[Command] = host.session.sent
        assert sent == []
        await pilot.press("escape")
        assert sent == []

    drive(play, *some_events(TOTAL))


def test_a_run_that_was_killed_in_its_test_is_tested_without_a_question() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        killed = replace(an_ending(), state="crashed", test=None, baseline=None, confusion=None)
        assert isinstance(killed, RunEnded)
        await host.happen(pilot, killed)
        assert "r test it" in host.text
        await pilot.press("r")
        await pilot.pause()
        (message,) = host.got
        assert isinstance(message, Ending.Resume)
        assert (message.run_dir, message.overrides) == (killed.run_dir, ())

    drive(play, *up_to_the_test())


def test_a_run_whose_test_was_skipped_can_be_trained_on() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, replace(an_ending(), test=None, baseline=None, confusion=None))
        assert "r train on" in host.text

    drive(play, *up_to_the_test())
