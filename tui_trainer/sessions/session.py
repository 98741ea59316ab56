"""`Session`: all that a front end knows of a run, wherever the run is.

Layer: sessions. Screens, the headless printer and the tests use nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.settings import TrainingSection
from tui_trainer.machine.usage import Usage
from tui_trainer.runs.commands import Command
from tui_trainer.runs.events import (
    ENDED_STATES,
    CheckpointSaved,
    Edited,
    Event,
    Notice,
    RunEnded,
    RunStarted,
    SaveFailed,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.runs.history import History
from tui_trainer.text.clean import clean

if TYPE_CHECKING:
    from tui_trainer.config.experiment import Experiment


class Session(Protocol):
    """A run as it is seen and steered."""

    @property
    def latest(self) -> Latest:
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
        """Bring `latest`, `history` and `experiment` up to date; whether anything was new.

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


class Speed:
    """Seconds a step takes, of late: over the newer half of this start of the run, or some more.

    So validations and saves count with their share, and an earlier life of the run on another
    device does not; pauses are in no elapsed time.
    """

    def __init__(self) -> None:
        self._begin: tuple[int, float] | None = None
        self._half = self._whole = self._now = (0, 0.0)

    def add(self, step: int, elapsed_s: float) -> None:
        """Take the time of a step, in the order of steps."""
        self._now = step, elapsed_s
        if self._begin is None:
            # The first steps are of another speed: memory is found, kernels are chosen.
            self._begin = self._half = self._whole = self._now
        elif elapsed_s - self._begin[1] >= 2 * (self._whole[1] - self._begin[1]):
            self._half, self._whole = self._whole, self._now

    @property
    def step_s(self) -> float | None:
        """Seconds a step; None before two reports."""
        steps, seconds = self._now[0] - self._half[0], self._now[1] - self._half[1]
        return seconds / steps if steps > 0 else None


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


@dataclass(slots=True)
class Latest:
    """What is known of a run now, folded from its events."""

    run: str = ""
    state: str = "starting"
    reason: str = ""
    step: int = 0
    epoch: int = 0
    total_steps: int | None = None
    steps_per_epoch: int = 0
    elapsed_s: float = 0.0
    device: str = ""
    parameters: int = 0
    generation: int = 0
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    samples_per_s: float | None = None
    waiting_share: float | None = None
    validation: dict[str, float] = field(default_factory=dict)
    best: dict[str, Any] | None = None
    best_step: int | None = None
    stale: int = 0
    saved_step: int | None = None
    save_failure: str = ""
    test: dict[str, float] | None = None
    message: str = ""
    max_seconds: float | None = None
    run_dir: str = ""
    ending: RunEnded | None = None
    speed: Speed = field(default_factory=Speed)

    @property
    def ended(self) -> bool:
        return self.state in ENDED_STATES

    @property
    def eta_s(self) -> float | None:
        """Seconds of training until the nearer limit, at the speed of late; None when not known."""
        limits = []
        if self.total_steps is not None and self.speed.step_s is not None:
            limits.append((self.total_steps - self.step) * self.speed.step_s)
        if self.max_seconds is not None:
            limits.append(self.max_seconds - self.elapsed_s)
        return max(min(limits), 0.0) if limits else None


def fold(latest: Latest, event: Event) -> None:
    """Bring one event into the picture."""
    latest.step = max(event.step, latest.step) if not isinstance(event, RunStarted) else event.step
    match event:
        case RunStarted():
            latest.run, latest.device, latest.epoch = event.run, event.device, event.epoch
            latest.parameters, latest.generation = event.parameters, event.generation
            latest.total_steps, latest.steps_per_epoch = event.total_steps, event.steps_per_epoch
            latest.speed = Speed()
            if latest.best_step is not None and latest.best_step > event.step:
                # It went back to before the best, as after a loss that was not finite.
                latest.best = latest.best_step = None
        case StateChanged():
            latest.state, latest.reason = event.state, event.reason
        case Edited():
            latest.total_steps = event.total_steps
        case StepsTaken():
            latest.epoch, latest.elapsed_s = event.epoch, event.elapsed_s
            latest.loss, latest.lr = event.losses[-1], event.lrs[-1]
            latest.grad_norm, latest.samples_per_s = event.grad_norms[-1], event.samples_per_s
            latest.waiting_share = event.waiting_share
            latest.speed.add(event.step, event.elapsed_s)
        case ValidationEnded():
            latest.epoch, latest.validation = event.epoch, event.metrics
            latest.stale = event.stale
            if event.improved:
                latest.best, latest.best_step = event.metrics, event.step
        case CheckpointSaved():
            latest.saved_step, latest.save_failure = event.step, ""
        case SaveFailed():
            latest.save_failure = event.reason
        case Notice():
            latest.message = event.text
        case RunEnded():
            latest.state, latest.reason = event.state, event.reason
            latest.elapsed_s, latest.epoch, latest.test = event.elapsed_s, event.epoch, event.test
            latest.run_dir, latest.ending = event.run_dir, event
            if event.best:
                latest.best, latest.best_step = event.best["metrics"], event.best["step"]
        case _:
            pass


class Picture:
    """What a front end keeps of a run: the latest state, the curves, the configuration in force."""

    def __init__(self, experiment: Experiment | None = None) -> None:
        self.latest = Latest()
        self.history = History()
        self.experiment = experiment
        self._before: list[tuple[int, Experiment]] = []
        """For each edit its step and the configuration before it."""

    def add(self, events: Iterable[Event]) -> None:
        """Bring events into the picture, in their order."""
        for event in events:
            self.tell(event)
            self.history.add(event)

    def tell(self, event: Event) -> None:
        """Bring an event into all but the curves, which come from elsewhere."""
        fold(self.latest, event)
        if self.experiment is not None:
            self.experiment = self._after(event, self.experiment)
            self.latest.max_seconds = self.experiment.training.max_seconds

    def _after(self, event: Event, experiment: Experiment) -> Experiment:
        """The configuration in force after an event."""
        match event:
            case RunStarted():
                # Edits after the step that it goes back to are made again when their step comes.
                while self._before and self._before[-1][0] > event.step:
                    _, experiment = self._before.pop()
            case Edited():
                # A list of runs needs no schema, and reads this module for its numbers.
                from tui_trainer.config.live import edited

                self._before.append((event.step, experiment))
                return edited(experiment, event.key, event.new)
        return experiment


def left_line(latest: Latest) -> str:
    """What becomes of a run that another process holds, for who stops looking at it."""
    name = clean(latest.run)
    goes_on = " and goes on without you" if latest.state in ("starting", "running") else ""
    again = f"tui-trainer attach {name} comes back to it"
    return f"{name}: {clean(latest.state, 20)} at step {latest.step:,}{goes_on}; {again}"
