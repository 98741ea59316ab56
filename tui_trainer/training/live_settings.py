"""`LiveSettings`: the configuration in force, which live edits change during a run.

Layer: training. Every part of a training reads it at each use, so an edit takes effect everywhere
at the next step.
"""

from __future__ import annotations

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.horizon import horizon
from tui_trainer.config.sections.schedules import factor
from tui_trainer.training.progress import Progress


class LiveSettings:
    """The experiment with the edits so far, and what follows from it at the current step."""

    def __init__(self, experiment: Experiment, steps_per_epoch: int, progress: Progress) -> None:
        self.experiment = experiment
        self._steps_per_epoch = steps_per_epoch
        self._progress = progress

    @property
    def horizon(self) -> int | None:
        """The number of steps by the limits in force; None when there are only time limits."""
        return horizon(self.experiment, self._steps_per_epoch)

    def lr(self) -> float:
        """The learning rate of the step that is about to be taken."""
        shape = factor(
            self.experiment.schedule,
            self._progress.step,
            self.horizon,
            steps_per_epoch=self._steps_per_epoch,
            plateau=self._progress.plateau.factor,
        )
        return self.experiment.optimizer.lr * shape
