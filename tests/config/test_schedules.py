"""The factor of the learning rate, step by step, against formulas and against torch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tui_trainer.config.sections.schedules import (
    SCHEDULES,
    ConstantSection,
    CosineSection,
    ExponentialSection,
    LinearDecaySection,
    MilestonesSection,
    OneCycleSection,
    PlateauSection,
    PolynomialSection,
    StepSection,
    WsdSection,
    factor,
    follows_validation,
    needs_epochs,
    needs_horizon,
)
from tui_trainer.config.sections.section import TypedSection

ALL: list[TypedSection] = [
    ConstantSection(type="constant"),
    ConstantSection(type="constant", warmup_steps=7),
    CosineSection(type="cosine", warmup_steps=5, final_factor=0.1),
    LinearDecaySection(type="linear", warmup_steps=3),
    OneCycleSection(type="one_cycle"),
    PolynomialSection(type="polynomial", warmup_steps=3, power=2.0, final_factor=0.2),
    WsdSection(type="wsd", warmup_steps=2, shape="1-sqrt"),
    WsdSection(type="wsd", decay_share=1.0, shape="cosine", final_factor=0.1),
    StepSection(type="step", every=2, warmup_steps=3),
    MilestonesSection(type="milestones", at=(1, 2), counted_in="steps"),
    ExponentialSection(type="exponential", gamma=0.5, warmup_steps=4),
    PlateauSection(type="plateau", warmup_steps=3),
]
STEPS_PER_EPOCH = 4


def factors(schedule: TypedSection, horizon: int) -> list[float]:
    return [
        factor(schedule, step, horizon, steps_per_epoch=STEPS_PER_EPOCH) for step in range(horizon)
    ]


def torch_rates(kind: type[torch.optim.lr_scheduler.LRScheduler], **options: Any) -> list[float]:
    """The rates of eight epochs with a schedule of torch that is called once an epoch."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = kind(optimizer, **options)
    rates = []
    for _ in range(8):
        rates += [float(optimizer.param_groups[0]["lr"])] * STEPS_PER_EPOCH
        optimizer.step()
        theirs.step()
    return rates


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
    if needs_horizon(schedule):
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


@pytest.mark.parametrize(
    ("schedule", "kind", "options"),
    [
        (StepSection(type="step", every=3, gamma=0.2), "StepLR", {"step_size": 3, "gamma": 0.2}),
        (
            MilestonesSection(type="milestones", at=(5, 2, 2), gamma=0.5),
            "MultiStepLR",
            {"milestones": [5, 2, 2], "gamma": 0.5},
        ),
        (ExponentialSection(type="exponential", gamma=0.7), "ExponentialLR", {"gamma": 0.7}),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_counts_epochs_is_as_in_torch(
    schedule: TypedSection, kind: str, options: dict[str, Any]
) -> None:
    expected = torch_rates(getattr(torch.optim.lr_scheduler, kind), **options)
    assert factors(schedule, 8 * STEPS_PER_EPOCH) == pytest.approx(expected, rel=1e-9)


def test_steps_can_be_counted_in_the_place_of_epochs() -> None:
    every = StepSection(type="step", every=2, gamma=0.5, counted_in="steps")
    assert factors(every, 5) == [1, 1, 0.5, 0.5, 0.25]
    each = ExponentialSection(type="exponential", gamma=0.5, counted_in="steps", warmup_steps=2)
    assert [factor(each, step, None) for step in range(3)] == [0.5, 0.5, 0.25]


def test_polynomial_is_the_one_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=19, power=3.0)
    rates = []
    for _ in range(20):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        theirs.step()
    ours = factors(PolynomialSection(type="polynomial", power=3.0), 20)
    assert ours == pytest.approx(rates, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [0.75, 0.5, 0.25, 0]),
        ("cosine", [0.853553, 0.5, 0.146447, 0]),
        ("1-sqrt", [0.5, 0.292893, 0.133975, 0]),
    ],
)
def test_wsd_falls_in_the_last_part_only(shape: Any, expected: list[float]) -> None:
    schedule = WsdSection(type="wsd", warmup_steps=2, decay_share=0.4, shape=shape)
    shown = factors(schedule, 10)
    assert shown == pytest.approx([0.5, 1, 1, 1, 1, 1, *expected], abs=1e-6)


def test_a_plateau_has_fallen_as_far_as_it_is_told() -> None:
    schedule = PlateauSection(type="plateau", warmup_steps=2)
    shown = [factor(schedule, step, None, plateau=0.1) for step in range(3)]
    assert shown == pytest.approx([0.05, 0.1, 0.1])


def test_it_is_known_what_a_schedule_depends_on() -> None:
    free = {"constant", "step", "milestones", "exponential", "plateau"}
    for spec in SCHEDULES:
        schedule = spec.params.model_validate({"type": spec.name})
        assert needs_horizon(schedule) == (spec.name not in free)
        assert needs_epochs(schedule) == (spec.name in {"step", "milestones", "exponential"})
        assert follows_validation(schedule) == (spec.name == "plateau")
        if needs_horizon(schedule):
            with pytest.raises(ValueError, match=r"training\.epochs or training\.max_steps"):
                factor(schedule, 0, None)
        if needs_epochs(schedule):
            with pytest.raises(ValueError, match="steps per epoch"):
                factor(schedule, 0, None)
