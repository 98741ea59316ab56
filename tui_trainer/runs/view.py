"""`RunView`: what is known of a run now, folded from its events.

Layer: runs. Every front end and the file `status.json` are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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


@dataclass(slots=True)
class RunView:
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

    def apply(self, event: Event) -> None:
        """Bring one event into the picture."""
        self.step = max(event.step, self.step) if not isinstance(event, RunStarted) else event.step
        match event:
            case RunStarted():
                self.run, self.device, self.epoch = event.run, event.device, event.epoch
                self.parameters, self.generation = event.parameters, event.generation
                self.total_steps, self.steps_per_epoch = event.total_steps, event.steps_per_epoch
                self.speed = Speed()
                if self.best_step is not None and self.best_step > event.step:
                    # It went back to before the best, as after a loss that was not finite.
                    self.best = self.best_step = None
            case StateChanged():
                self.state, self.reason = event.state, event.reason
            case Edited():
                self.total_steps = event.total_steps
            case StepsTaken():
                self.epoch, self.elapsed_s = event.epoch, event.elapsed_s
                self.loss, self.lr = event.losses[-1], event.lrs[-1]
                self.grad_norm, self.samples_per_s = event.grad_norms[-1], event.samples_per_s
                self.waiting_share = event.waiting_share
                self.speed.add(event.step, event.elapsed_s)
            case ValidationEnded():
                self.epoch, self.validation = event.epoch, event.metrics
                self.stale = event.stale
                if event.improved:
                    self.best, self.best_step = event.metrics, event.step
            case CheckpointSaved():
                self.saved_step, self.save_failure = event.step, ""
            case SaveFailed():
                self.save_failure = event.reason
            case Notice():
                self.message = event.text
            case RunEnded():
                self.state, self.reason = event.state, event.reason
                self.elapsed_s, self.epoch, self.test = event.elapsed_s, event.epoch, event.test
                self.run_dir, self.ending = event.run_dir, event
                if event.best:
                    self.best, self.best_step = event.best["metrics"], event.best["step"]
            case _:
                pass
