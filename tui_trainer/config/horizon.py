"""How many steps a run will have, by the limits in its configuration.

Layer: config, and not training, because a form draws the schedule over them while it is edited.
Limits by time are not counted: nobody knows how many steps fit in.
"""

from __future__ import annotations

from tui_trainer.config.experiment import Experiment


def horizon(experiment: Experiment, steps_per_epoch: int) -> int | None:
    """Steps until the nearer of the limits by epochs and by steps; None without either."""
    training = experiment.training
    limits = []
    if training.epochs is not None:
        limits.append(training.epochs * steps_per_epoch)
    if training.max_steps is not None:
        limits.append(training.max_steps)
    return min(limits) if limits else None
