"""`horizon`: the number of steps of a run, by the limits in its configuration.

Layer: config, not training, because a form plots the schedule over these steps during editing.
Limits by time are ignored: the number of steps that fit into them is unknown.
"""

from __future__ import annotations

from tui_trainer.config.experiment import Experiment


def horizon(experiment: Experiment, steps_per_epoch: int) -> int | None:
    """Return the lower of the limits by epochs and by steps, in steps; None without either."""
    training = experiment.training
    limits = []
    if training.epochs is not None:
        limits.append(training.epochs * steps_per_epoch)
    if training.max_steps is not None:
        limits.append(training.max_steps)
    return min(limits) if limits else None
