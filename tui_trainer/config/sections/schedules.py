"""The learning-rate schedules: specs, and the factor as a pure function of the step.

Layer: config, not training, because a factor is arithmetic without torch, and a form plots it
during editing. Steps count from 0: the factor is for the step that is about to be taken.
"""

import math
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field

from tui_trainer.config.plugin_loader import SCHEDULE_FACTORIES
from tui_trainer.config.sections.section import (
    Items,
    Registry,
    Spec,
    TypedSection,
    parameters_of,
    setting,
    settings_taken,
)
from tui_trainer.config.user_code import describe_error_near, place_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

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


class PolynomialSection(ScheduleSection):
    """From 1 to the final factor as a power of what is left; the power 1 is a straight line."""

    type: Literal["polynomial"]
    power: float = setting(1.0, "power of the share of the steps that is left", gt=0, le=100)
    final_factor: float = setting(0.0, "factor at the end", ge=0, le=1)


class WsdSection(ScheduleSection):
    """Warm-up, stable, decay: the base rate until the last part of the run (arXiv:2404.06395).

    `1-sqrt` falls fast at first (Haegele et al., arXiv:2405.18392).
    """

    type: Literal["wsd"]
    decay_share: float = setting(0.2, "share of all steps in which the rate falls", gt=0, le=1)
    shape: Literal["linear", "cosine", "1-sqrt"] = setting("linear", "how the rate falls")
    final_factor: float = setting(0.0, "factor at the end", ge=0, le=1)


class CountedSection(ScheduleSection):
    """Schedules that fall after a number of epochs or steps, whatever the length of the run.

    Epochs and steps count from the start of the run, including the warm-up.
    """

    gamma: float = setting(0.1, "factor of the rate each time it falls", gt=0, le=1)
    counted_in: Literal["epochs", "steps"] = setting("epochs", "unit that is counted")


class StepSection(CountedSection):
    """Times gamma every N epochs or steps, as torch's StepLR."""

    type: Literal["step"]
    every: int = setting(30, "epochs or steps between two falls", ge=1)


class MilestonesSection(CountedSection):
    """Times gamma at each milestone, as torch's MultiStepLR."""

    type: Literal["milestones"]
    at: Items[Annotated[int, Field(ge=1)]] = setting(
        (30, 60, 90), "epochs or steps after which the rate falls", min_length=1
    )


class ExponentialSection(CountedSection):
    """Times gamma after each epoch or each step, as torch's ExponentialLR."""

    type: Literal["exponential"]
    gamma: float = setting(0.95, "factor of the rate each time it falls", gt=0, le=1)


class PlateauSection(ScheduleSection):
    """Times a factor when the metric of checkpoint.monitor no longer improves.

    As torch's ReduceLROnPlateau, with the smallest rate as a factor of the base rate. Scheduled
    validations are counted, those on demand are not.
    """

    type: Literal["plateau"]
    factor: float = setting(0.1, "factor of the rate each time it falls", gt=0, lt=1)
    patience: int = setting(10, "validations without improvement that are tolerated", ge=0)
    threshold: float = setting(1e-4, "smallest change that counts as better", ge=0)
    threshold_mode: Literal["rel", "abs"] = setting(
        "rel", "rel: the threshold is a share of the best value"
    )
    cooldown: int = setting(0, "validations after a fall that are not counted", ge=0)
    min_factor: float = setting(0.0, "the factor never falls below this", ge=0, le=1)


AnySchedule = (
    ConstantSection
    | CosineSection
    | LinearDecaySection
    | OneCycleSection
    | PolynomialSection
    | WsdSection
    | StepSection
    | MilestonesSection
    | ExponentialSection
    | PlateauSection
)

SCHEDULES.add(Spec("constant", "the base rate throughout, after the warm-up", ConstantSection))
SCHEDULES.add(Spec("cosine", "half a cosine down to the final factor", CosineSection))
SCHEDULES.add(Spec("linear", "a straight line down to the final factor", LinearDecaySection))
SCHEDULES.add(Spec("one_cycle", "up to the base rate and down again", OneCycleSection))
SCHEDULES.add(Spec("polynomial", "a power down to the final factor", PolynomialSection))
SCHEDULES.add(Spec("wsd", "the base rate, and down in the last part of the run", WsdSection))
SCHEDULES.add(Spec("step", "times gamma every N epochs or steps", StepSection))
SCHEDULES.add(Spec("milestones", "times gamma at given epochs or steps", MilestonesSection))
SCHEDULES.add(Spec("exponential", "times gamma each epoch or step", ExponentialSection))
SCHEDULES.add(Spec("plateau", "down when the monitored metric stops improving", PlateauSection))


def needs_horizon(schedule: TypedSection) -> bool:
    """Whether the factor depends on the total number of steps."""
    if schedule.type in SCHEDULE_FACTORIES:
        return "total" in parameters_of(SCHEDULE_FACTORIES[schedule.type])
    return not isinstance(schedule, ConstantSection | CountedSection | PlateauSection)


def needs_length(schedule: TypedSection) -> str:
    """Return the problem of a schedule that needs the total number of steps where it is unknown."""
    return (
        f"{schedule.type} needs to know the number of steps: "
        "set training.epochs or training.max_steps, or use schedule=constant"
    )


def needs_epochs(schedule: TypedSection) -> bool:
    """Whether the factor depends on the number of steps per epoch."""
    return isinstance(schedule, CountedSection) and schedule.counted_in == "epochs"


def follows_validation(schedule: TypedSection) -> bool:
    """Whether the factor depends on future validations, and cannot be plotted in advance."""
    return isinstance(schedule, PlateauSection)


def factor(
    schedule: TypedSection,
    step: int,
    horizon: int | None,
    *,
    steps_per_epoch: int | None = None,
    plateau: float = 1.0,
) -> float:
    """Return the factor of `optimizer.lr` at step `step` (from 0) of `horizon` steps.

    The last step, horizon - 1, gets the final factor; later steps keep it. `plateau` is the factor
    that a schedule which follows validation has reached.

    Raises:
        ValueError: the schedule needs the horizon or the steps per epoch, and it is None.
        BadInput: it is of a plugin, whose code fails.
    """
    if schedule.type in SCHEDULE_FACTORIES:
        return _own(schedule, step, horizon)
    assert isinstance(schedule, AnySchedule)
    match schedule:
        case OneCycleSection():
            return _one_cycle(schedule, step, _known(horizon))
        case ConstantSection() | PlateauSection():
            shape = plateau if isinstance(schedule, PlateauSection) else 1.0
        case StepSection():
            shape = schedule.gamma ** (_counted(schedule, step, steps_per_epoch) // schedule.every)
        case MilestonesSection():
            count = _counted(schedule, step, steps_per_epoch)
            shape = schedule.gamma ** sum(milestone <= count for milestone in schedule.at)
        case ExponentialSection():
            shape = schedule.gamma ** _counted(schedule, step, steps_per_epoch)
        case WsdSection():
            shape = _wsd(schedule, step, _known(horizon))
        case CosineSection() | LinearDecaySection() | PolynomialSection():
            if step < schedule.warmup_steps:
                shape = 1.0
            else:
                shape = _falling(schedule, step, _known(horizon))
        case _:
            assert_never(schedule)
    return shape * _warmed_up(schedule, step)


def constant_from(schedule: TypedSection) -> float:
    """Return the step from which the factor is 1 until the end; infinity if there is none."""
    return schedule.warmup_steps if isinstance(schedule, ConstantSection) else math.inf


def _warmed_up(schedule: ScheduleSection, step: int) -> float:
    """Return the share of the rate that the warm-up has reached."""
    return (step + 1) / schedule.warmup_steps if step < schedule.warmup_steps else 1.0


def _own(schedule: TypedSection, step: int, horizon: int | None) -> float:
    """Return the factor that the function of a plugin gives, after the warm-up."""
    assert isinstance(schedule, ScheduleSection)
    function = SCHEDULE_FACTORIES[schedule.type]
    filled: dict[str, Any] = {"step": step}
    if "total" in parameters_of(function):
        filled["total"] = _known(horizon)
    settings = settings_taken(function, schedule)
    try:
        shape = float(function(**filled, **settings))
    except Exception as error:
        text = describe_error_near(error, clean(place_of(function), 300))
        raise BadInput(f"{text} (in schedule {schedule.type}, step {step:,})") from error
    if not (math.isfinite(shape) and shape >= 0):
        raise BadInput(
            f"{clean(place_of(function), 300)}: schedule {schedule.type} is {shape} at step "
            f"{step:,}; a factor is a number from 0"
        )
    return shape * _warmed_up(schedule, step)


def _one_cycle(schedule: OneCycleSection, step: int, horizon: int) -> float:
    peak = schedule.peak_at * horizon - 1
    if step < peak:
        return _between(schedule.initial_factor, 1.0, _cosine(step / peak))
    done = _share(step - peak, horizon - peak)
    return _between(1.0, schedule.final_factor, _cosine(done))


def _falling(
    schedule: CosineSection | LinearDecaySection | PolynomialSection, step: int, horizon: int
) -> float:
    """Fall from 1 at the end of the warm-up to the final factor at the last step."""
    done = _share(step - schedule.warmup_steps, horizon - schedule.warmup_steps)
    match schedule:
        case CosineSection():
            left = _cosine(done)
        case LinearDecaySection():
            left = 1 - done
        case PolynomialSection():
            left = (1 - done) ** schedule.power
    return _between(1.0, schedule.final_factor, left)


def _wsd(schedule: WsdSection, step: int, horizon: int) -> float:
    """Keep the base rate until the last `decay_share` of the steps, at least one, then fall."""
    falling = max(round(schedule.decay_share * horizon), 1)
    done = min(max((step + 1 - (horizon - falling)) / falling, 0.0), 1.0)
    left = {"linear": 1 - done, "cosine": _cosine(done), "1-sqrt": 1 - math.sqrt(done)}
    return _between(1.0, schedule.final_factor, left[schedule.shape])


def _counted(schedule: CountedSection, step: int, steps_per_epoch: int | None) -> int:
    """Return the number of epochs or steps completed before this step."""
    if schedule.counted_in == "steps":
        return step
    if steps_per_epoch is None:
        raise ValueError("this schedule counts epochs: it needs to know the steps per epoch")
    return step // steps_per_epoch


def _known(horizon: int | None) -> int:
    if horizon is None:
        raise ValueError("this schedule needs a horizon: training.epochs or training.max_steps")
    return horizon


def _share(step: float, steps: float) -> float:
    """Return the completed share of `steps` at `step`: 0 at the first, 1 from the last one on."""
    return min(max(step / (steps - 1), 0.0), 1.0) if steps > 1 else 1.0


def _between(start: float, end: float, left: float) -> float:
    """Interpolate: `start` if `left` is 1, `end` if it is 0."""
    return end + (start - end) * left


def _cosine(done: float) -> float:
    """Return half a cosine wave, from 1 at `done` 0 to 0 at 1."""
    return (1 + math.cos(math.pi * done)) / 2
