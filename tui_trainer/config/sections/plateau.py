"""`Plateau`: how far a learning rate has fallen because validations no longer improve.

Layer: config. The rules are those of torch's ReduceLROnPlateau, as a pure function; what it
returns goes into every checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tui_trainer.config.sections.schedules import PlateauSection


@dataclass(frozen=True, slots=True)
class Plateau:
    """Where a schedule that follows the validation stands."""

    factor: float = 1.0
    best: float | None = None
    stale: int = 0
    """Validations in a row that were no better."""
    cooldown: int = 0
    """Validations that are still not to be counted."""


def after_validation(
    schedule: PlateauSection, plateau: Plateau, value: float, *, higher_is_better: bool
) -> Plateau:
    """The state after a validation with this value; NaN is no better than anything."""
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
        # By the size of the best: torch's rule takes a worse value for a better one below zero.
        margin *= abs(best)
    return value > best + margin if higher_is_better else value < best - margin
