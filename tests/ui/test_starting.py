"""The start of a run on its screen: stages with their seconds, in place of plots and numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.ui.host import Host, drive
from tests.ui.runs import an_ending, an_experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.events import (
    Event,
    FactFound,
    RunEnded,
    RunStarted,
    StageStarted,
    StateChanged,
    StepsTaken,
)
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.metrics_panel import MetricsPanel
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stages import Stages, StartingPanel, first_step_facts
from tui_trainer.ui.run.state_label import ProgressLine

START = (
    FactFound(0, "changes", "training.max_steps 700 -> 30"),
    StageStarted(0, "import torch", at_s=100.0),
    FactFound(0, "device", "cpu, 2 cores"),
    StageStarted(0, "read the data", at_s=101.9),
    FactFound(0, "data", "61,347 samples to train on, 2,342 to validate, 22,432 to test"),
    StageStarted(0, "build the model", at_s=102.7),
)
STARTED = RunStarted(0, 0, "digits-1126", "cpu", 48906, 1221, 20, 460, 0)
FIRST = StepsTaken(1, 1, 0.3, (2.5,), (0.4,), (0.003,), 1234.0, 0.0)


def told(*events: Event) -> Stages:
    stages = Stages()
    for event in events:
        stages.add(event)
    return stages


def test_a_stage_lasts_until_the_next_one_and_the_newest_until_now() -> None:
    assert told(*START).seconds(103.1) == [
        ("import torch", pytest.approx(1.9), True),
        ("read the data", pytest.approx(0.8), True),
        ("build the model", pytest.approx(0.4), False),
        ("first step", None, False),
    ]
    assert told(*START).elapsed_s(103.1) == pytest.approx(3.1)
    assert told().elapsed_s(103.1) is None
    assert told(*START).seconds(90.0)[2] == ("build the model", 0.0, False), "another host's clock"


def test_facts_are_grouped_below_one_title() -> None:
    more = FactFound(0, "changes", "optimizer.lr 0.003 -> 0.1")
    assert told(*START, more).facts == [
        ("differs from the preset", "training.max_steps 700 -> 30"),
        ("", "optimizer.lr 0.003 -> 0.1"),
        ("data", "61,347 samples to train on, 2,342 to validate, 22,432 to test"),
        ("device", "cpu, 2 cores"),
    ]


def test_of_many_changes_the_first_are_shown() -> None:
    changes = [FactFound(0, "changes", f"change {number}") for number in range(10)]
    shown = [text for _, text in told(*changes).facts]
    assert shown == [*(f"change {number}" for number in range(8)), "and 2 more"]


def test_what_makes_the_first_step_long_is_said_before_it() -> None:
    experiment = with_value(an_experiment(), "loader.num_workers", 2)
    assert first_step_facts(experiment) == [("first step", "starts 2 workers")]
    experiment = with_value(experiment, "training.compile", True)
    assert first_step_facts(experiment)[1] == ("", "compiles the model, which may take minutes")
    assert first_step_facts(an_experiment()) == first_step_facts(None) == []


@pytest.mark.parametrize("end", [(), (an_ending(),)], ids=["killed", "ended"])
def test_another_start_of_the_run_begins_anew(end: tuple[Event, ...]) -> None:
    again = StageStarted(30, "read the checkpoint", at_s=200.0)
    stages = told(*START, StageStarted(0, "first step", at_s=103.0), *end, again)
    assert [stage for stage, _, _ in stages.seconds(201.0)] == [
        *("read the checkpoint", "read the data", "build the model", "first step")
    ]
    assert stages.facts == []


@pytest.mark.parametrize(
    "size",
    [
        *[(60, 18), (200, 50)],
        *(pytest.param(size, marks=pytest.mark.further) for size in ((80, 24), (120, 40))),
    ],
)
def test_a_start_shows_its_stages_and_no_number_that_nobody_knows(size: tuple[int, int]) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        assert host.text.splitlines()[0].split()[0] == "○"
        for wanted in ("✓ import torch", "1.9 s", "● build the model", "first step"):
            assert wanted in host.text
        assert "training.max_steps 700 -> 30" in host.text
        for unknown in ("epoch", "step 0", "ETA", "0 %", "samples/s", "0/0"):
            assert unknown not in host.text
        for kind in (Plots, ProgressLine, MetricsPanel):
            assert not any(it.region for it in host.running.query(kind)), kind
        await host.happen(pilot, STARTED, StageStarted(0, "first step", at_s=103.0))
        assert host.running.query_one(StartingPanel).display
        await host.happen(pilot, StateChanged(1, "running"), FIRST)
        assert not host.running.query_one(StartingPanel).display
        assert host.running.query_one(Plots).display
        assert "first step" not in host.text
        assert isinstance(host.running.focused, Plots)

    drive(play, *START, size=size)


@pytest.mark.parametrize("key", ["escape", "s", "q"])
def test_a_start_is_given_up_at_once_and_says_what_happened(key: str) -> None:
    why = "stopped by you while building the model; nothing was trained"

    async def play(host: Host, pilot: Pilot[None]) -> None:
        if key == "q":
            host.running.ask_to_stop(then_leave=True)
        else:
            await pilot.press(key)
        assert len(host.screen_stack) == 2, "there is nothing to ask"
        (stop,) = host.session.sent
        assert isinstance(stop, Stop)
        await host.happen(pilot, RunEnded(0, "stopped", why, 0, None, 0.0, 0, has_begun=False))
        (message,) = host.got
        if key == "q":
            assert isinstance(message, RunScreen.Leave)
        else:
            assert isinstance(message, RunScreen.NeverStarted)
            assert message.reason == why

    drive(play, *START)


def test_keys_that_need_a_step_say_so_during_the_start() -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("p", "v", "e")
        assert host.session.sent == []
        assert host.told == ["the run is only starting; this key works from its first step on"]
        assert "Pause" not in host.text
        assert "Cancel" in host.text

    drive(play, *START)


def test_the_first_step_can_be_stopped_as_any_other(tmp_path: Path) -> None:
    async def play(host: Host, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        assert host.session.sent == []
        assert "Stop digits-1126?" in host.text

    async def footer(host: Host, pilot: Pilot[None]) -> None:
        assert "Pause" not in host.text
        await host.happen(pilot, STARTED, StageStarted(0, "first step", at_s=103.0))
        assert "Pause" in host.text

    drive(footer, *START)

    drive(play, *START, STARTED, StageStarted(0, "first step", at_s=103.0))
