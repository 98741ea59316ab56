"""`Part`: one part of a training, and what all parts share.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.horizon import horizon
from tui_trainer.config.sections.schedules import factor
from tui_trainer.runs.events import Event, Notice, RunState, StateChanged
from tui_trainer.training.progress import Progress, Stopwatch

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Shared:
    """What every part of one training uses."""

    progress: Progress
    """The counters. The stepper counts steps, the validator what validations decide."""
    settings: LiveSettings
    watch: Stopwatch
    """Seconds of training; pauses do not count."""
    clock: Clock
    """Seconds that go on in a pause."""
    events: RunEvents


class Part:
    """A part of a training, in the trainer thread."""

    def __init__(self, shared: Shared) -> None:
        self._progress = shared.progress
        self._settings = shared.settings
        self._watch = shared.watch
        self._clock = shared.clock
        self._events = shared.events


# `RunEvents`: how the parts of a training say what happens, and the state that the run is in.
#
# It belongs to the trainer thread.


Emit = Callable[[Event], None]


class RunEvents:
    """Emits events, at the step that the training has reached."""

    def __init__(self, emit: Emit, progress: Progress) -> None:
        self.emit = emit
        self._progress = progress
        self._state: RunState = "starting"

    def note(self, text: str, level: Literal["note", "warning", "error"] = "note") -> None:
        """Tell the person who watches the run something."""
        self.emit(Notice(self._progress.step, text, level))

    def enter(self, state: RunState, reason: str = "", *, freed_bytes: int = 0) -> None:
        """Enter a state; `freed_bytes` of the device's memory were given back for it."""
        if state != self._state:
            self._state = state
            self.emit(StateChanged(self._progress.step, state, reason, freed_bytes))


# `LiveSettings`: the configuration in force, which live edits change during a run.
#
# Every part of a training reads it at each use, so an edit takes effect everywhere at the next
# step.


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
