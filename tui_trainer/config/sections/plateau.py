"""`Plateau`: the state of a schedule that lowers the learning rate when validation stops improving.

Layer: config. The rules are those of torch's ReduceLROnPlateau, except for a relative threshold
with negative values. They are a pure function; the state it returns goes into every checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tui_trainer.config.sections.schedules import PlateauSection


@dataclass(frozen=True, slots=True)
class Plateau:
    """The state of a schedule that follows validation."""

    factor: float = 1.0
    best: float | None = None
    stale: int = 0
    """Consecutive validations without an improvement."""
    cooldown: int = 0
    """Upcoming validations that are not counted."""


def after_validation(
    schedule: PlateauSection, plateau: Plateau, value: float, *, higher_is_better: bool
) -> Plateau:
    """Return the state after a validation with this value; NaN is never an improvement."""
    stale, best, factor = plateau.stale + 1, plateau.best, plateau.factor
    if _is_better(schedule, value, best, higher_is_better=higher_is_better):
        stale, best = 0, value
    if plateau.cooldown > 0:
        return replace(plateau, best=best, stale=0, cooldown=plateau.cooldown - 1)
    if stale <= schedule.patience:
        return replace(plateau, best=best, stale=stale)
    fallen = max(factor * schedule.factor, min(factor, schedule.min_factor))
    return Plateau(fallen, best, 0, schedule.cooldown)


def _is_better(
    schedule: PlateauSection, value: float, best: float | None, *, higher_is_better: bool
) -> bool:
    if best is None:
        return math.isfinite(value)
    margin = schedule.threshold
    if schedule.threshold_mode == "rel":
        # Use the magnitude of the best: below zero, torch's rule accepts a worse value as better.
        margin *= abs(best)
    return value > best + margin if higher_is_better else value < best - margin
