"""The learning-rate schedules: specs, and the factor as a pure function of the step.

Layer: config, and not training, because a factor is arithmetic without torch and a form draws
it while it is edited. Step s counts from 0: it is the rate of the step that is about to be taken.
"""

from __future__ import annotations

import math
from typing import Literal, assert_never

from tui_trainer.config.registry import Registry, Spec
from tui_trainer.config.section import TypedSection, setting

SCHEDULES = Registry("schedule")


class ScheduleSection(TypedSection):
    """Every schedule can warm up: the factor rises linearly over the first steps."""

    warmup_steps: int = setting(0, "steps of linear warm-up", unit="steps", ge=0)


class ConstantSection(ScheduleSection):
    """The base rate throughout."""

    type: Literal["constant"]


class CosineSection(ScheduleSection):
    """Half a cosine from 1 to the final factor (Loshchilov & Hutter, arXiv:1608.03983)."""

    type: Literal["cosine"]
    final_factor: float = setting(0.0, "factor at the end", ge=0, le=1)


class LinearDecaySection(ScheduleSection):
    """A straight line from 1 to the final factor."""

    type: Literal["linear"]
    final_factor: float = setting(0.0, "factor at the end", ge=0, le=1)


class OneCycleSection(TypedSection):
    """Up to the base rate and down again, both as half a cosine (Smith, arXiv:1708.07120).

    The form and the defaults are those of torch.optim.lr_scheduler.OneCycleLR, with lr = max_lr.
    """

    type: Literal["one_cycle"]
    peak_at: float = setting(0.3, "share of the steps after which the rate is highest", gt=0, lt=1)
    initial_factor: float = setting(0.04, "factor at the start", gt=0, le=1)
    final_factor: float = setting(4e-6, "factor at the end", ge=0, le=1)


AnySchedule = ConstantSection | CosineSection | LinearDecaySection | OneCycleSection

SCHEDULES.add(Spec("constant", "the base rate throughout, after the warm-up", ConstantSection))
SCHEDULES.add(Spec("cosine", "half a cosine down to the final factor", CosineSection))
SCHEDULES.add(Spec("linear", "a straight line down to the final factor", LinearDecaySection))
SCHEDULES.add(Spec("one_cycle", "up to the base rate and down again", OneCycleSection))


def needs_horizon(schedule: TypedSection) -> bool:
    """Whether the factor depends on how many steps there will be."""
    return not isinstance(schedule, ConstantSection)


def factor(schedule: TypedSection, step: int, horizon: int | None) -> float:
    """What `optimizer.lr` is multiplied by at step `step` (from 0) of `horizon`.

    The last step, horizon - 1, gets the final factor; later ones keep it. A schedule that needs
    a horizon raises ValueError without one.
    """
    assert isinstance(schedule, AnySchedule)
    if isinstance(schedule, ScheduleSection) and step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    match schedule:
        case ConstantSection():
            return 1.0
        case CosineSection() | LinearDecaySection():
            done = _share(step - schedule.warmup_steps, _known(horizon) - schedule.warmup_steps)
            shape = (
                (1 + math.cos(math.pi * done)) / 2
                if isinstance(schedule, CosineSection)
                else 1 - done
            )
            return schedule.final_factor + (1 - schedule.final_factor) * shape
        case OneCycleSection():
            peak = schedule.peak_at * _known(horizon) - 1
            if step < peak:
                return _cosine(schedule.initial_factor, 1.0, step / peak)
            return _cosine(1.0, schedule.final_factor, _share(step - peak, _known(horizon) - peak))
        case _:
            assert_never(schedule)


def _known(horizon: int | None) -> int:
    if horizon is None:
        raise ValueError("this schedule needs a horizon: training.epochs or training.max_steps")
    return horizon


def _share(step: float, steps: float) -> float:
    """How much of `steps` is done at `step`: 0 at the first, 1 at the last and after it."""
    return min(max(step / (steps - 1), 0.0), 1.0) if steps > 1 else 1.0


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
