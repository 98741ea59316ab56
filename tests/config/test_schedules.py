"""The factor of the learning rate, step by step, against formulas and against torch."""

from __future__ import annotations

import math

import pytest
import torch

from tui_trainer.config.schedules import (
    SCHEDULES,
    ConstantSection,
    CosineSection,
    LinearDecaySection,
    OneCycleSection,
    factor,
    needs_horizon,
)
from tui_trainer.config.section import TypedSection

ALL: list[TypedSection] = [
    ConstantSection(type="constant"),
    ConstantSection(type="constant", warmup_steps=7),
    CosineSection(type="cosine", warmup_steps=5, final_factor=0.1),
    LinearDecaySection(type="linear", warmup_steps=3),
    OneCycleSection(type="one_cycle"),
]


def factors(schedule: TypedSection, horizon: int) -> list[float]:
    return [factor(schedule, step, horizon) for step in range(horizon)]


def torch_one_cycle(schedule: OneCycleSection, horizon: int) -> list[float]:
    """The rates that torch gives, with a highest rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=1.0,
        total_steps=horizon,
        pct_start=schedule.peak_at,
        div_factor=1 / schedule.initial_factor,
        final_div_factor=schedule.initial_factor / schedule.final_factor,
        cycle_momentum=False,
    )
    rates = []
    for step in range(horizon):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if step < horizon - 1:
            theirs.step()
    return rates


@pytest.mark.parametrize("horizon", [1, 2, 3, 4, 7, 100])
@pytest.mark.parametrize(
    "schedule",
    [
        OneCycleSection(type="one_cycle"),
        OneCycleSection(type="one_cycle", peak_at=0.45, initial_factor=0.5, final_factor=0.01),
    ],
)
def test_one_cycle_is_the_one_of_torch(schedule: OneCycleSection, horizon: int) -> None:
    expected = torch_one_cycle(schedule, horizon)
    assert factors(schedule, horizon) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_one_cycle_can_peak_in_its_first_step() -> None:
    schedule = OneCycleSection(type="one_cycle", peak_at=0.25)
    assert factor(schedule, 0, 4) == 1.0
    assert factor(schedule, 3, 4) == pytest.approx(4e-6)


@pytest.mark.parametrize("warmup_steps", [0, 1, 10])
def test_cosine_is_half_a_cosine_after_the_warm_up(warmup_steps: int) -> None:
    schedule = CosineSection(type="cosine", warmup_steps=warmup_steps, final_factor=0.1)
    horizon = 61
    expected = [(step + 1) / warmup_steps for step in range(warmup_steps)] + [
        0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / (horizon - 1 - warmup_steps)))
        for step in range(horizon - warmup_steps)
    ]
    assert factors(schedule, horizon) == pytest.approx(expected, rel=1e-12)


def test_cosine_is_the_one_of_torch() -> None:
    horizon = 50
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=horizon - 1, eta_min=0.2)
    rates = []
    for _ in range(horizon):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        theirs.step()
    ours = factors(CosineSection(type="cosine", final_factor=0.2), horizon)
    assert ours == pytest.approx(rates, rel=1e-9)


def test_linear_is_a_straight_line_to_the_final_factor() -> None:
    schedule = LinearDecaySection(type="linear", warmup_steps=2, final_factor=0.5)
    assert factors(schedule, 7) == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5])


def test_constant_stays_at_one_after_the_warm_up() -> None:
    schedule = ConstantSection(type="constant", warmup_steps=4)
    assert [factor(schedule, step, None) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert factor(ConstantSection(type="constant"), 0, None) == 1.0


@pytest.mark.parametrize("schedule", ALL, ids=lambda schedule: schedule.type)
@pytest.mark.parametrize("horizon", [1, 2, 3, 10])
def test_a_factor_is_between_zero_and_one_and_stays_as_it_ended(
    schedule: TypedSection, horizon: int
) -> None:
    assert all(0 <= value <= 1 for value in factors(schedule, horizon))
    far = max(horizon, 100)
    assert factor(schedule, far, horizon) == factor(schedule, 10 * far, horizon)


def test_the_last_step_has_the_final_factor_and_later_ones_keep_it() -> None:
    for schedule in (
        CosineSection(type="cosine", final_factor=0.3),
        LinearDecaySection(type="linear", final_factor=0.3),
        OneCycleSection(type="one_cycle", final_factor=0.3),
    ):
        for step in (19, 20, 1000):
            assert factor(schedule, step, 20) == pytest.approx(0.3)
        assert factor(schedule, 18, 20) > 0.3


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    schedule = CosineSection(type="cosine", warmup_steps=100)
    assert factors(schedule, 3) == pytest.approx([0.01, 0.02, 0.03])


def test_all_but_constant_need_a_horizon() -> None:
    for spec in SCHEDULES:
        schedule = spec.params.model_validate({"type": spec.name})
        assert needs_horizon(schedule) == (spec.name != "constant")
        if needs_horizon(schedule):
            with pytest.raises(ValueError, match=r"training\.epochs or training\.max_steps"):
                factor(schedule, 0, None)
