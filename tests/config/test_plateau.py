"""The fall of a rate by validations, against torch's ReduceLROnPlateau."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch

from tui_trainer.config.sections.plateau import Plateau, after_validation
from tui_trainer.config.sections.schedules import PlateauSection


def followed(schedule: PlateauSection, values: list[float], *, higher: bool) -> list[float]:
    state, factors = Plateau(), []
    for value in values:
        state = after_validation(schedule, state, value, higher_is_better=higher)
        factors.append(state.factor)
    return factors


@pytest.mark.parametrize("higher", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 0, "factor": 0.5},
        {"patience": 1, "cooldown": 2, "factor": 0.5},
        {"patience": 2, "threshold": 0.2, "min_factor": 0.02, "factor": 0.3},
        {"patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 1, "factor": 0.9},
    ],
    ids=str,
)
def test_it_falls_where_that_of_torch_falls(settings: dict[str, Any], higher: bool) -> None:
    schedule = PlateauSection.model_validate({"type": "plateau", **settings})
    dice = random.Random(1)
    values = [math.nan if dice.random() < 0.05 else dice.random() + 1 / (n + 1) for n in range(60)]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if higher else "min",
        factor=schedule.factor,
        patience=schedule.patience,
        threshold=schedule.threshold,
        threshold_mode=schedule.threshold_mode,
        cooldown=schedule.cooldown,
        min_lr=schedule.min_factor,
        eps=0.0,
    )
    expected = []
    for value in values:
        theirs.step(value)
        expected.append(float(optimizer.param_groups[0]["lr"]))
    assert followed(schedule, values, higher=higher) == pytest.approx(expected)


def test_below_zero_a_worse_value_is_no_improvement() -> None:
    schedule = PlateauSection(type="plateau", patience=0, threshold=0.1, factor=0.5)
    assert followed(schedule, [-2.0, -2.1], higher=True) == [1.0, 0.5]
    assert followed(schedule, [-2.0, -1.9], higher=False) == [1.0, 0.5]


def test_a_first_value_that_is_no_number_is_not_the_best() -> None:
    schedule = PlateauSection(type="plateau", patience=5)
    state = after_validation(schedule, Plateau(), math.nan, higher_is_better=False)
    assert (state.best, state.stale) == (None, 1)
