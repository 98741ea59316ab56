"""The stop dialog: three answers, what each costs, and that no habit loses a run."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.ui.host import Host, drive
from tests.ui.runs import a_pause, an_ending, some_events
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    SaveFailed,
    StateChanged,
    StepsTaken,
)
from tui_trainer.runs.view import RunView
from tui_trainer.ui.run.metrics_panel import SavedProgress
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stop_dialog import StopDialog, costs


def stops(host: Host) -> list[bool]:
    """Whether each stop that was sent saves."""
    return [command.save for command in host.session.sent if isinstance(command, Stop)]


def asks(host: Host) -> bool:
    return isinstance(host.screen, StopDialog)


def steps(step: int) -> StepsTaken:
    return StepsTaken(step, 14, step * 0.02, (1.0,), (1.0,), (1.0,), 1.0, 0.0)


@pytest.mark.parametrize(
    ("keys", "saves"),
    [(["s"], True), (["k"], False), (["enter"], True), (["down", "enter"], False)],
)
def test_each_key_gives_its_answer(keys: list[str], saves: bool) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert asks(host)
        await pilot.press(*keys)
        await pilot.pause()
        assert host.screen is host.running
        assert stops(host) == [saves]
        assert host.running._asking.leaving is False

    drive(play, *some_events())


def test_some_keys_stop_nothing() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        for keys in (
            ["escape"],
            ["down", "down", "enter"],
            ["ctrl+c", "ctrl+c", "ctrl+c", "escape"],
            ["p", "q", "x", "escape"],
        ):
            await pilot.press("s")
            assert asks(host), keys
            await pilot.press(*keys)
            await pilot.pause()
            assert host.screen is host.running, keys
            assert stops(host) == [], keys
            assert host.running._asking.leaving is False

    drive(play, *some_events())


@pytest.mark.parametrize(("keys", "leaving"), [(["d"], False), (["down", "down", "enter"], True)])
def test_a_run_that_can_be_left_to_itself_can_be_detached(keys: list[str], leaving: bool) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.running.ask_to_stop(then_leave=leaving)
        await pilot.pause()
        _, _, costs = host.text.partition("d   detach")
        words = " ".join(costs.replace("│", " ").split())
        command = host.session.view.run.command("attach")
        assert words.startswith(f"training continues; {command} reopens it")
        assert ("detaching does not" in host.text) == leaving
        await pilot.press(*keys)
        await pilot.pause()
        assert host.screen is host.running
        assert stops(host) == []
        assert [type(message) for message in host.got] == [RunScreen.Detach]

    drive(play, *some_events(), can_detach=True)


def test_a_run_that_cannot_be_left_to_itself_is_not_detached() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert "detach" not in host.text
        await pilot.press("d")
        assert asks(host)

    drive(play, *some_events())


def test_ctrl_c_in_the_dialog_answers_nothing() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "ctrl+c", "ctrl+c")
        assert asks(host)
        assert stops(host) == []

    drive(play, *some_events())


def test_a_click_answers() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await pilot.click(OptionList, offset=(6, 1))
        await pilot.pause()
        assert stops(host) == [False]

    drive(play, *some_events())


def test_the_answers_say_what_they_cost() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, steps(322))
        await pilot.press("s")
        assert "Stop digits-cnn-1122-2315?" in host.text
        assert "resume later from step 322" in host.text
        assert "last checkpoint: step 299; 23 steps, 0.5 s lost" in host.text

    drive(play, *some_events())


def test_on_a_narrow_terminal_a_cost_goes_on_below_its_beginning() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        for width in (60, 50):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            await pilot.pause()
            rows = host.text.splitlines()
            at = next(n for n, row in enumerate(rows) if "training continues;" in row)
            column = rows[at].index("training continues")
            assert not rows[at + 1][:column].strip("│ ")
            assert rows[at + 1][column:].strip("│ ")

    drive(play, *some_events(), can_detach=True)


def test_the_costs_stay_true_while_the_dialog_is_open() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await host.happen(pilot, steps(340))
        assert "resume later from step 340" in host.text
        await host.happen(pilot, CheckpointSaved(340, "f.pt", 1, 0.1, False))
        assert "last checkpoint: step 340; the rest is lost" in host.text
        await host.happen(pilot, *a_pause(341))
        assert "nothing is lost: step 341 is saved" in host.text

    drive(play, *some_events())


def test_a_paused_run_has_nothing_to_lose() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *a_pause(300))
        await pilot.press("s")
        assert "nothing is lost: step 300 is saved" in host.text

    drive(play, *some_events())


def test_costs_are_honest_without_a_checkpoint_and_after_a_failed_save() -> None:
    view, safety = RunView(step=5), SavedProgress(age_s=1.5)
    lost = "no checkpoint yet: everything is lost (5 steps, 1.5 s)"
    assert costs(view, safety)["discard"] == lost
    safety.add(SaveFailed(5, "disk full"))
    assert "the last save FAILED" in costs(view, safety)["save"]
    assert costs(RunView(), SavedProgress())["discard"] == "nothing is lost"


def test_that_nothing_is_lost_is_never_said_of_a_run_that_may_have_gone_on() -> None:
    safety = SavedProgress(step=300)
    paused, running = RunView(step=300, state="paused"), RunView(step=300, state="running")
    assert costs(paused, safety)["discard"] == "nothing is lost: step 300 is saved"
    assert "nothing" not in costs(paused, safety, goes_on=True)["discard"]
    assert "nothing" not in costs(running, safety)["discard"]
    begun = RunView(step=0, state="running")
    assert costs(begun, SavedProgress())["discard"] == "no checkpoint yet: everything is lost"


@pytest.mark.parametrize("told", [True, False])
def test_right_after_a_pause_the_dialog_does_not_say_that_nothing_is_lost(told: bool) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *a_pause(300))
        await pilot.press("p")
        if told:  # the run goes on, and the screen has not looked since
            host.session.push(StateChanged(300, "running"))
        await pilot.press("s")
        assert asks(host)
        assert "nothing is lost" not in host.text
        assert "last checkpoint: step 300; the rest is lost" in host.text

    drive(play, *some_events())


def test_a_pause_that_another_ends_is_seen_by_the_open_dialog() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, *a_pause(300))
        host.running.ask_to_stop(then_leave=True)
        await pilot.pause()
        for words in (
            "nothing is lost",
            "It is paused. Leaving stops it",
            "keep it paused",
            "stays",
        ):
            assert words in host.text
        assert "training" not in host.text.partition("Stop digits")[2]
        host.session.push(StateChanged(300, "running"))
        for _ in range(1000):
            await pilot.pause(0.01)
            if "nothing is lost" not in host.text:
                break
        for words in ("It is still training. Leaving stops it", "keep training", "continues"):
            assert words in host.text
        assert "It is paused" not in host.text
        assert "keep it paused" not in host.text

    drive(play, *some_events(), can_detach=True)


def test_the_dialog_goes_away_when_the_run_ends_by_itself() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await host.happen(pilot, an_ending())
        await pilot.pause()
        assert host.screen is host.running
        assert stops(host) == []
        assert "finished" in host.text.splitlines()[0]

    drive(play, *some_events(460))


def test_a_stop_is_seen_at_once_and_not_asked_for_twice() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        await pilot.pause()
        assert "· stopping" in host.text.splitlines()[0]
        assert host.log_lines[-1] == "stop, saving: requested"
        await pilot.press("s")
        assert host.screen is host.running
        assert host.told == ["it is already stopping"]

    drive(play, *some_events())


def test_after_a_refused_stop_it_can_be_asked_again() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        await host.happen(pilot, CommandApplied(300, "id", "stop", "you", "not now"))
        await pilot.press("s")
        assert asks(host)

    drive(play, *some_events())


@pytest.mark.parametrize("key", ["s", "k"])
def test_leaving_waits_for_the_end_of_the_run(key: str) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.running.ask_to_stop(then_leave=True)
        await pilot.pause()
        assert "Leaving stops it" in host.text
        await pilot.press(key)
        await pilot.pause()
        assert host.got == []
        await host.happen(pilot, an_ending())
        assert [type(message) for message in host.got] == [RunScreen.Leave]

    drive(play, *some_events())


def test_keeping_the_run_keeps_the_app() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        host.running.ask_to_stop(then_leave=True)
        await pilot.pause()
        await pilot.press("escape")
        await host.happen(pilot, an_ending())
        assert host.got == []
        assert "finished" in host.text

    drive(play, *some_events())


def test_leaving_while_it_stops_already_needs_no_second_answer() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s", "s")
        host.running.ask_to_stop(then_leave=True)
        await host.happen(pilot, an_ending())
        assert [type(message) for message in host.got] == [RunScreen.Leave]

    drive(play, *some_events())


def test_a_run_that_has_ended_is_left_at_once() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await host.happen(pilot, an_ending())
        host.running.ask_to_stop(then_leave=True)
        await pilot.pause()
        assert [type(message) for message in host.got] == [RunScreen.Leave]

    drive(play, *some_events(460))
