"""What the parts of the loop share: one mutable record of a training from a start to its end.

Layer: training. It belongs to the trainer thread; others see events, never this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.horizon import horizon
from tui_trainer.config.schedules import factor
from tui_trainer.data.batch import Batch
from tui_trainer.runs.commands import Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import Edit
from tui_trainer.runs.events import Event, Notice
from tui_trainer.training.checkpoints import Checkpoint
from tui_trainer.training.forward import Carry, Forward
from tui_trainer.training.progress import Progress, Stopwatch
from tui_trainer.training.state import State
from tui_trainer.training.step_buffer import Numbers
from tui_trainer.training.task import Task
from tui_trainer.training.writer import SaveJob, Writer

Emit = Callable[[Event], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Fresh:
    """Start from step 0. `edits` are replayed at their steps, `generation` counts restarts."""

    edits: tuple[Edit, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Resume:
    """Start from a checkpoint; `edits` are all that belong to the run, in order."""

    checkpoint: Checkpoint
    edits: tuple[Edit, ...] = ()
    generation: int = 1


Start = Fresh | Resume


@dataclass(slots=True)
class Context:
    """The training in hand."""

    task: Task
    state: State
    measuring: Forward
    """The model that is validated and tested."""
    progress: Progress
    experiment: Experiment
    """The configuration in force: that of the run plus the edits so far."""
    control: Control
    emit: Emit
    run: RunDirectory
    writer: Writer
    watch: Stopwatch
    numbers: Numbers
    generation: int
    replay: list[Edit]
    """Edits still to come: of an earlier life of the run, or made in a validation at this step."""
    edits: list[Edit]
    """Edits in force or to come."""
    config: bytes = b""
    """config.yaml as it was at the start, in case its directory vanishes."""
    batches: Iterator[Batch] | None = None
    carry: Carry = None
    """What the last micro-batch left for the next; None at the start of an epoch."""
    stop: Stop | None = None
    protected: frozenset[int] = frozenset()
    best_job: SaveJob | None = None
    """The best state so far, when it is not on the disk yet."""
    best_weights: dict[str, Any] | None = None
    saved: tuple[int, int] | None = None
    """Step and validated step of the newest checkpoint."""
    saved_at_s: float = 0.0
    saved_epoch: int = 0
    updating: bool = False
    """Whether the optimizer is at work, and the weights are of no step."""
    broken: bool = False
    """Whether a step failed half-way, after it may have drawn random numbers."""
    overflows: int = 0
    """Steps in a row that a loss scaler left out."""
    failing_since_s: float | None = None
    failure: Exception | None = None
    reported_at_s: float = 0.0
    looked_at_s: float = 0.0
    """The newest report after which the run directory was looked at."""
    reported_samples: int = 0
    waiting_s: float = 0.0
    samples: int = 0
    clock: Clock = time.monotonic
    state_name: str = field(default="starting")

    @property
    def horizon(self) -> int | None:
        """How many steps there will be by the limits in force, or None when only time limits."""
        return horizon(self.experiment, self.task.steps_per_epoch)

    def lr(self) -> float:
        """The rate of the step that is about to be taken."""
        shape = factor(
            self.experiment.schedule,
            self.progress.step,
            self.horizon,
            steps_per_epoch=self.task.steps_per_epoch,
            plateau=self.progress.plateau.factor,
        )
        return self.experiment.optimizer.lr * shape

    def note(self, text: str, level: Any = "note") -> None:
        """Tell the person something."""
        self.emit(Notice(self.progress.step, text, level))
