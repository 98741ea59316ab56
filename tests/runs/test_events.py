"""Events are frozen facts that become lines of JSON with a name."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from tui_trainer.runs.events import (
    FINAL_STATES,
    CheckpointSaved,
    CommandAccepted,
    CommandApplied,
    Edited,
    Event,
    FactFound,
    MeasurementAdvanced,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    RunState,
    SaveFailed,
    StageStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    ValidationStarted,
    name_of,
    to_dict,
)
from tui_trainer.runs.journal import encode

NAMED: dict[str, Event] = {
    "run_started": RunStarted(0, 0, "digits", "cpu", 10, 100, 5, 50, 1, ("a note",), split="x"),
    "state_changed": StateChanged(3, "paused", "asked"),
    "steps_taken": StepsTaken(3, 1, 0.5, (0.5, math.nan), (1.0, 2.0), (0.1, 0.1), 99.0, 0.0),
    "validation_started": ValidationStarted(3, 4),
    "validation_ended": ValidationEnded(3, 1, 0.5, {"loss": math.inf}, 0.1, True, 0),
    "measurement_advanced": MeasurementAdvanced(
        3, "test split", 64, 360, "samples", 0.5, "then 2 baselines"
    ),
    "checkpoint_saved": CheckpointSaved(3, "step-00000003.pt", 100, 0.1, True),
    "save_failed": SaveFailed(3, "full\x1b[31m"),
    "command_accepted": CommandAccepted(3, "ab", "pause", "you"),
    "command_applied": CommandApplied(3, "ab", "pause", "you"),
    "edited": Edited(3, "optimizer.lr", 0.1, 0.2, "you"),
    "non_finite": NonFinite(3, 1, "loss", (1, 2)),
    "notice": Notice(3, "text"),
    "stage_started": StageStarted(0, "read the data"),
    "fact_found": FactFound(0, "data", "3 samples to train on"),
    "run_ended": RunEnded(3, "finished", "done", 1, "/runs/x", 0.5, 0, {"loss": 1.0}),
}


def test_every_event_is_named_here() -> None:
    # By name, because a class with slots is made twice.
    names = {kind.__name__ for kind in Event.__subclasses__()}
    assert {type(event).__name__ for event in NAMED.values()} == names


@pytest.mark.parametrize("name", NAMED)
def test_an_event_becomes_a_line_with_its_name_step_and_all_its_fields(name: str) -> None:
    event = NAMED[name]

    assert name_of(event) == name
    plain = json.loads(encode([to_dict(event)]))
    assert plain["event"] == name
    assert plain["step"] == event.step
    names = {item.name for item in fields(event)} - {"at_s", "details"}
    assert set(plain) == {"event", "time", *names}


def test_numbers_that_are_not_finite_are_null_in_a_line() -> None:
    steps = json.loads(encode([to_dict(NAMED["steps_taken"])]))

    assert steps["losses"] == [0.5, None]


@pytest.mark.parametrize("name", NAMED)
def test_a_fact_cannot_be_changed(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        NAMED[name].step = 9  # type: ignore[misc]


def test_the_final_states_are_states() -> None:
    assert set(get_args(RunState)) > FINAL_STATES
