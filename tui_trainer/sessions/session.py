"""`Session`: all that a front end knows of a run, wherever the run is.

Layer: sessions. Screens, the headless printer and the tests use nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.machine.usage import Usage
from tui_trainer.runs.commands import Command
from tui_trainer.runs.events import (
    Edited,
    Event,
    RunStarted,
)
from tui_trainer.runs.history import History
from tui_trainer.runs.view import RunView


class Session(Protocol):
    """A run as it is seen and steered."""

    @property
    def view(self) -> RunView:
        """The state as of the last `refresh`."""
        ...

    @property
    def history(self) -> History:
        """The curves as of the last `refresh`, from the run's first step on."""
        ...

    @property
    def experiment(self) -> Experiment | None:
        """The configuration in force, live edits included; None until the run has started."""
        ...

    @property
    def usage(self) -> Usage | None:
        """The newest measurement of memory and load; None before the first."""
        ...

    def refresh(self) -> bool:
        """Bring `view`, `history` and `experiment` up to date; whether anything was new.

        Called by the front end's one thread, which alone reads them.
        """
        ...

    def events(self, cursor: int) -> tuple[list[Event], int]:
        """The events since a cursor (0: all that are kept), and the cursor for the next call."""
        ...

    def send(self, command: Command) -> None:
        """Hand a command to the run; events tell what became of it. Never blocks."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait until there are new events or the run has ended; False when the time is over."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the last event has been emitted."""
        ...

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process holds the run: it may go on after its end, and without us."""
        ...


class OwnSession(Session, Protocol):
    """A run whose thread is one of this process."""

    @property
    def settings(self) -> TrainingSection | None:
        """What it was started with, which says what signals mean; None until it is prepared."""
        ...

    @property
    def exit_code(self) -> int:
        """The exit status that its end stands for; a failure's, where its thread just died."""
        ...

    def join(self) -> None:
        """Wait until the thread has ended."""
        ...


class TrackedRun:
    """What a session holds of a run: its view, its curves, and the configuration in force."""

    def __init__(self, experiment: Experiment | None = None) -> None:
        self.view = RunView()
        self.history = History()
        self.experiment = experiment
        self._before: list[tuple[int, Experiment]] = []
        """For each edit its step and the configuration before it."""

    def add(self, events: Iterable[Event]) -> None:
        """Apply events to all of it, in their order."""
        for event in events:
            self.apply(event)
            self.history.add(event)

    def apply(self, event: Event) -> None:
        """Apply an event to all but the curves, which may come from the files of the run."""
        self.view.apply(event)
        if self.experiment is not None:
            self.experiment = self._after(event, self.experiment)
            self.view.max_seconds = self.experiment.training.max_seconds

    def _after(self, event: Event, experiment: Experiment) -> Experiment:
        """Return the configuration in force after an event."""
        match event:
            case RunStarted():
                # Edits after the step that it goes back to are made again when their step comes.
                while self._before and self._before[-1][0] > event.step:
                    _, experiment = self._before.pop()
            case Edited():
                self._before.append((event.step, experiment))
                return edited(experiment, event.key, event.new)
        return experiment
