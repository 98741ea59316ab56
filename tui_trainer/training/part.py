"""`Part`, the base class of the parts of a training, and the objects that all parts share.

Layer: training. The shared objects (`Shared`) are read and changed in the trainer thread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.optimizers import base_lr
from tui_trainer.config.sections.parameter_groups import GroupSection
from tui_trainer.config.sections.schedules import constant_from, factor
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.runs.events import Event, Notice, RunState, StateChanged
from tui_trainer.runs.limits import horizon
from tui_trainer.training.progress import Progress, Stopwatch

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shared:
    """The objects that every part of one training uses."""

    progress: Progress
    """The counters. The stepper updates the steps, the validator the results of validations."""
    settings: LiveSettings
    watch: Stopwatch
    """Seconds of training, without pauses."""
    clock: Clock
    """A monotonic clock in seconds, which keeps running during a pause."""
    events: RunEvents


class Part:
    """One part of a training. Its methods are called in the trainer thread."""

    def __init__(self, shared: Shared) -> None:
        self._progress = shared.progress
        self._settings = shared.settings
        self._watch = shared.watch
        self._clock = shared.clock
        self._events = shared.events


Emit = Callable[[Event], None]


class RunEvents:
    """Emits the events of a run with its current step, and keeps track of the run's state.

    Belongs to the trainer thread.
    """

    def __init__(self, emit: Emit, progress: Progress) -> None:
        self.emit = emit
        self._progress = progress
        self._state: RunState = "starting"

    def note(self, text: str, level: Literal["note", "warning", "error"] = "note") -> None:
        """Emit a message for the people who watch the run."""
        self.emit(Notice(self._progress.step, text, level))

    def note_left_out(self, left_out: LeftOut | None) -> None:
        """Say which samples could not be read since the last call; None: none can be lost."""
        if left_out is not None and (text := left_out.take_news()):
            self.note(text, "warning")

    def enter(self, state: RunState, reason: str = "", *, freed_bytes: int = 0) -> None:
        """Enter a state; `freed_bytes` is how much device memory was released for it."""
        if state != self._state:
            self._state = state
            self.emit(StateChanged(self._progress.step, state, reason, freed_bytes))


class LiveSettings:
    """The configuration in force: the experiment with all live edits so far.

    No part keeps a copy: each reads a setting whenever it needs it, or is in `apply_to`, so an edit
    takes effect everywhere at the next step.
    """

    def __init__(self, experiment: Experiment, steps_per_epoch: int, progress: Progress) -> None:
        self.experiment = experiment
        self._steps_per_epoch = steps_per_epoch
        self._progress = progress
        self._users: list[Callable[[Experiment], None]] = []
        self.horizon = horizon(experiment, steps_per_epoch)
        """The total number of steps under the limits in force; None if only time is limited."""
        self._constant_from = constant_from(experiment.schedule)

    def apply_to(self, use: Callable[[Experiment], None]) -> None:
        """Call a function with the configuration in force, now and after each edit.

        For objects that have to be changed by an edit, such as those of torch.
        """
        self._users.append(use)
        use(self.experiment)

    def change(self, experiment: Experiment) -> None:
        """Bring an edited configuration into force."""
        self.experiment = experiment
        self.horizon = horizon(experiment, self._steps_per_epoch)
        self._constant_from = constant_from(experiment.schedule)
        for use in self._users:
            use(experiment)

    def lr(self) -> float:
        """The learning rate of the step that is about to be taken.

        The schedule waits with the optimizer: steps that a loss scaler skipped do not count.
        """
        return self.experiment.optimizer.lr * self._factor()

    def group_lrs(self) -> tuple[float, ...]:
        """The learning rates of `optimizer.groups` in the step that is about to be taken.

        A schedule of a group's own counts from the first step that trains the group.
        """
        optimizer = self.experiment.optimizer
        if not optimizer.groups:
            return ()
        shared = self._factor()
        return tuple(
            base_lr(optimizer, group)
            * (shared if group.schedule is None else self._own_factor(group, group.schedule))
            for group in optimizer.groups
        )

    def _factor(self) -> float:
        updates = self._progress.updates
        if updates >= self._constant_from:
            return 1.0
        return factor(
            self.experiment.schedule,
            updates,
            self.horizon,
            steps_per_epoch=self._steps_per_epoch,
            plateau=self._progress.plateau.factor,
        )

    def _own_factor(self, group: GroupSection, schedule: TypedSection) -> float:
        before = group.first_step - 1
        return factor(
            schedule,
            max(self._progress.updates - before, 0),
            None if self.horizon is None else max(self.horizon - before, 1),
            steps_per_epoch=self._steps_per_epoch,
        )
