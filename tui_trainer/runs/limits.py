"""The limits that end a run: in how many steps, which one is reached, how far to raise it.

Layer: runs. Decided only here: the trainer asks between two steps and before an edit, a resume
before it starts, and the app as a new limit is typed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tui_trainer.config.sections.metrics import better, metric_label
from tui_trainer.text.format import counted

if TYPE_CHECKING:
    from tui_trainer.config.experiment import Experiment
    from tui_trainer.runs.view import RunView


class Limit(NamedTuple):
    """The reason why a training is over, and the setting that ends it."""

    reason: str
    setting: str


class Done(NamedTuple):
    """The progress of a run, in the units of its limits; a new one is made at every step."""

    step: int
    epochs: int
    """The number of completed epochs."""
    elapsed_s: float
    stale: int = 0
    """The number of validations since the last improvement."""
    best: tuple[str, float] | None = None
    """The monitored metric and its best value, if that counts for `early_stopping.threshold`."""

    def used_of(self, key: str) -> float:
        """Return how much of a limit is used up; 0 for a threshold."""
        return {
            "training.epochs": self.epochs,
            "training.max_steps": self.step,
            "training.max_seconds": self.elapsed_s,
            "early_stopping.patience": self.stale,
        }.get(key, 0)


def done_in(view: RunView, experiment: Experiment, saved_step: int | None = None) -> Done:
    """Return how far a run has come, as seen from outside; at most up to a saved step."""
    per_epoch = view.steps_per_epoch
    step = view.step if saved_step is None else min(view.step, saved_step)
    monitored = experiment.checkpoint.monitor
    value = (view.scores.best or {}).get(monitored)
    return Done(
        step=step,
        # Users see the epoch in progress, so without its length the last one does not count.
        epochs=step // per_epoch if per_epoch else max(view.epoch - 1, 0),
        elapsed_s=view.elapsed_s,
        stale=view.scores.stale,
        best=None if value is None else (monitored, value),
    )


def limit_reached(experiment: Experiment, done: Done) -> Limit | None:
    """Return the limit that a run has reached, or None."""
    training, stopping = experiment.training, experiment.early_stopping
    if stopping.patience is not None and done.stale >= stopping.patience:
        reason = f"no improvement in {counted(done.stale, 'validation')}"
        return Limit(reason, "early_stopping.patience")
    if stopping.threshold is not None and done.best is not None:
        metric, value = done.best
        if value == stopping.threshold or better(metric, value, stopping.threshold):
            reason = f"{metric_label(metric)} reached {stopping.threshold:g}"
            return Limit(reason, "early_stopping.threshold")
    if training.epochs is not None and done.epochs >= training.epochs:
        return Limit(_are_done(done.epochs, "epoch"), "training.epochs")
    if training.max_steps is not None and done.step >= training.max_steps:
        return Limit(_are_done(done.step, "step"), "training.max_steps")
    if training.max_seconds is not None and done.elapsed_s >= training.max_seconds:
        return Limit(f"{training.max_seconds:g} s have passed", "training.max_seconds")
    return None


def _are_done(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'} done"


def horizon(experiment: Experiment, steps_per_epoch: int) -> int | None:
    """Return the lower of the limits by epochs and by steps, in steps; None without either.

    A limit by time is ignored: the number of steps that fit into it is unknown.
    """
    training = experiment.training
    limits = []
    if training.epochs is not None:
        limits.append(training.epochs * steps_per_epoch)
    if training.max_steps is not None:
        limits.append(training.max_steps)
    return min(limits) if limits else None


# A new limit for a run that has ended.


def proposed_limit(limit: float, used: float) -> int:
    """Return half as much again as a limit, or as what is used up if that is far more.

    It is rounded up to a whole number that people would type.
    """
    # Seconds and validations may go a little beyond their limit.
    wanted = 1.5 * (limit if used <= 1.1 * limit else used)
    power: int = 10 ** math.floor(math.log10(max(wanted, 1)))
    # Up to 20 in steps of 1, up to 100 in steps of 5, up to 200 in steps of 10, and so on.
    unit = max(power // 10 if wanted < 2 * power else power // 2, 1)
    return math.ceil(wanted / unit) * unit


def trained_on(limit: Limit, experiment: Experiment, done: Done) -> str:
    """Return a setting, as KEY=VALUE, with which a run goes on beyond a limit it has reached."""
    if limit.setting == "early_stopping.threshold":
        return f"{limit.setting}=null"
    new = proposed_limit(experiment.get(limit.setting), done.used_of(limit.setting))
    return f"{limit.setting}={new}"
