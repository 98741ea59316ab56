"""`Session`: all that a front end knows of a run, wherever the run is.

Layer: sessions. Screens, the headless printer and the tests use nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tui_trainer.runs.commands import Command
from tui_trainer.runs.events import (
    FINAL_STATES,
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


class Session(Protocol):
    """A run as it is seen and steered."""

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

    @property
    def ended(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last step at the speed so far; None when there is no last step."""
        if self.total_steps is None or self.step == 0 or self.elapsed_s == 0:
            return None
        return max(self.total_steps - self.step, 0) * self.elapsed_s / self.step


def fold(latest: Latest, event: Event) -> None:
    """Bring one event into the picture."""
    latest.step = max(event.step, latest.step) if not isinstance(event, RunStarted) else event.step
    match event:
        case RunStarted():
            latest.run, latest.device, latest.epoch = event.run, event.device, event.epoch
            latest.parameters, latest.generation = event.parameters, event.generation
            latest.total_steps, latest.steps_per_epoch = event.total_steps, event.steps_per_epoch
        case StateChanged():
            latest.state, latest.reason = event.state, event.reason
        case Edited():
            latest.total_steps = event.total_steps
        case StepsTaken():
            latest.epoch, latest.elapsed_s = event.epoch, event.elapsed_s
            latest.loss, latest.lr = event.losses[-1], event.lrs[-1]
            latest.grad_norm, latest.samples_per_s = event.grad_norms[-1], event.samples_per_s
            latest.waiting_share = event.waiting_share
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
            if event.best:
                latest.best, latest.best_step = event.best["metrics"], event.best["step"]
        case _:
            pass
