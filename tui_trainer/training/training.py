"""`Training`: all parts of one running training.

Layer: training. It belongs to the trainer thread; other threads see events, never this object. Only
the loop and the functions that start and end a run take the whole `Training`. Each part changes
only its own fields; what all parts use is in `Shared`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.command_handler import CommandHandler
from tui_trainer.training.directory_watch import DirectoryWatch
from tui_trainer.training.frozen_groups import FrozenGroups
from tui_trainer.training.part import RunEvents, Shared
from tui_trainer.training.progress import Progress
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.saver import Saver
from tui_trainer.training.state import State
from tui_trainer.training.step import Stepper
from tui_trainer.training.task import Task
from tui_trainer.training.validation import Validator


@dataclass(frozen=True, slots=True)
class Training:
    """The parts of one training."""

    task: Task
    run: RunDirectory
    generation: int
    """How many times the run was resumed."""
    shared: Shared
    state: State
    recorder: Recorder
    stepper: Stepper
    saver: Saver
    validator: Validator
    commands: CommandHandler
    directory: DirectoryWatch
    frozen_groups: FrozenGroups

    @property
    def progress(self) -> Progress:
        return self.shared.progress

    @property
    def events(self) -> RunEvents:
        return self.shared.events

    @property
    def experiment(self) -> Experiment:
        """The configuration in force, edits included."""
        return self.shared.settings.experiment
