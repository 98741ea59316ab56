"""`Session`: all that a front end knows about a run, wherever the run is.

Layer: sessions. Screens, the headless printer and the tests use nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.machine.usage import Usage
from tui_trainer.runs.commands import Command
from tui_trainer.runs.events import Edited, Event, RunStarted
from tui_trainer.runs.history import History
from tui_trainer.runs.log import EarlierEvents
from tui_trainer.runs.view import RunView


class Session(Protocol):
    """A run, to watch and to steer."""

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
        """Bring `view`, `history` and `experiment` up to date; returns whether anything was new.

        Called by one thread of the front end, which is also the only one that reads them.
        """
        ...

    def events(self, cursor: int) -> tuple[list[Event], int]:
        """Return the events since a cursor (0: all that are kept), and the next cursor."""
        ...

    @property
    def earlier(self) -> EarlierEvents | None:
        """The events before the first that `events(0)` returns; None if unknown or if none."""
        ...

    def send(self, command: Command) -> None:
        """Hand a command to the run, which answers by events. Never blocks."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait for new events or the end of the run; False when the time is over."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the last event has been emitted."""
        ...

    @property
    def is_elsewhere(self) -> bool:
        """Whether another process holds the run: it may outlive us, or be resumed after its end."""
        ...


class OwnSession(Session, Protocol):
    """A run that is trained by a thread of this process."""

    @property
    def settings(self) -> TrainingSection | None:
        """The settings it was started with, which signals depend on; None until prepared."""
        ...

    @property
    def exit_code(self) -> int:
        """The exit status for its end; that of a failure if its thread just died."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether its start was cancelled: it has reported its end, and its thread follows."""
        ...

    def join(self) -> None:
        """Wait until the thread has ended."""
        ...


class TrackedRun:
    """The state that a session keeps of a run: view, curves, and the configuration in force."""

    def __init__(self, experiment: Experiment | None = None) -> None:
        self.view = RunView()
        self.history = History()
        self.experiment = experiment
        self._before: list[tuple[int, Experiment]] = []
        """The step of each edit, and the configuration before it."""

    def add(self, events: Sequence[Event]) -> None:
        """Apply events to the view, the curves and the configuration, in their order."""
        for event in events:
            self.apply(event)
        self.history.add(*events)

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
                # Edits after the step that the run goes back to are made again when their step
                # comes.
                while self._before and self._before[-1][0] > event.step:
                    _, experiment = self._before.pop()
            case Edited():
                self._before.append((event.step, experiment))
                return edited(experiment, event.key, event.new, is_new=False)
        return experiment
