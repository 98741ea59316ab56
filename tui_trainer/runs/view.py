"""`RunView`: the state of a run now, built from its events; status.json is this view.

Layer: runs. `apply` is the only place where events become a state. The file holds only what is
small, because it is replaced about once per second: the confusion matrix and the baselines are in
`ending`, and stay in events.jsonl. Curves are in `History`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from tui_trainer.config.sections.metrics import Direction
from tui_trainer.runs.bounds import are_metrics, is_count, is_mapping, is_number, is_plain, is_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import (
    ENDED_STATES,
    CheckpointSaved,
    Edited,
    Event,
    MeasurementAdvanced,
    RunEnded,
    RunStarted,
    SaveFailed,
    StageStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.runs.step_numbers import NUMBERS, StepNumbers

Check = Callable[[object], bool]
_COURSE = ("starting", "running", "testing")
"""The states of a run that is left alone, in their order."""


class Speed:
    """Average seconds per step over the newer half of this start of the run, or a little more.

    Validations and saves count with their share. An earlier start, perhaps on another device, does
    not count, and elapsed time excludes pauses.
    """

    def __init__(self) -> None:
        self._begin: tuple[int, float] | None = None
        self._half = self._whole = self._now = (0, 0.0)

    def add(self, step: int, elapsed_s: float) -> None:
        """Add the time of a step, in the order of steps."""
        self._now = step, elapsed_s
        if self._begin is None:
            # The first steps are not typical: memory is allocated, and kernels are chosen.
            self._begin = self._half = self._whole = self._now
        elif elapsed_s - self._begin[1] >= 2 * (self._whole[1] - self._begin[1]):
            self._half, self._whole = self._whole, self._now

    @property
    def step_s(self) -> float | None:
        """Seconds per step; None before two reports."""
        steps, seconds = self._now[0] - self._half[0], self._now[1] - self._half[1]
        return seconds / steps if steps > 0 else None


def _is_usage(value: object) -> bool:
    return isinstance(value, dict) and is_plain(value)


def _are_directions(value: object) -> bool:
    allowed = get_args(Direction)
    return (
        is_mapping(value)
        and isinstance(value, dict)
        and all(direction in allowed for direction in value.values())
    )


# A field of one of these types is kept in status.json, and a reader accepts only such values.
Count = Annotated[int, is_count]
Seconds = Annotated[float, is_number]
Text = Annotated[str, is_text]
Metrics = Annotated[dict[str, float], are_metrics]
Directions = Annotated[dict[str, Direction], _are_directions]
UsageRecord = Annotated[dict[str, Any], _is_usage]


@dataclass(slots=True)
class Scores:
    """The results of validations and the test."""

    validation: Metrics = field(default_factory=dict)
    """The newest metrics of the validation split."""
    best: Metrics | None = None
    """The metrics of the best validation so far."""
    best_step: Count | None = None
    stale: Count = 0
    """The number of validations since the best."""
    test: Metrics | None = None
    better: Directions = field(default_factory=dict)
    """The direction in which each metric is better; empty in files of older versions."""


@dataclass(slots=True)
class FinalTest:
    """The progress of the test at the end of the run, while there is no result.

    `part` is empty before the test and after it; if the test was cut off, it says where. The fields
    are those of `MeasurementAdvanced`.
    """

    part: Text = ""
    done: Count = 0
    total: Count | None = None
    unit: Text = ""
    elapsed_s: Seconds = 0.0
    following: Text = ""

    @property
    def share(self) -> float | None:
        """The share of this part that is done; None if it is unknown."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until the end of this part; None if that is unknown."""
        if not self.total or not self.done:
            return None
        return self.elapsed_s * max(self.total - self.done, 0) / self.done

    def apply(self, event: MeasurementAdvanced) -> None:
        """Take the numbers of an event."""
        self.part, self.following = event.part, event.following
        self.done, self.total, self.unit = event.done, event.total, event.unit
        self.elapsed_s = event.elapsed_s

    def event(self, step: int) -> MeasurementAdvanced:
        """Return the event that leads to this progress."""
        return MeasurementAdvanced(
            step, self.part, self.done, self.total, self.unit, self.elapsed_s, self.following
        )


@dataclass(slots=True)
class Model:
    """The model of the run, and where it is trained."""

    device: Text = ""
    parameters: Count | None = None
    trained_parameters: Count | None = None
    """Those that are not frozen."""


@dataclass(slots=True)
class Saved:
    """The state of the run's checkpoints."""

    step: Count | None = None
    """The step of the newest checkpoint."""
    failure: Text = ""
    """Why the newest save failed; empty if it did not."""


@dataclass(slots=True)
class Process:
    """The process that trains, as it describes itself in status.json."""

    pid: Count = 0
    host: Text = ""
    heartbeat: Count = 0
    """A counter, timed by the reader's own clock: the clocks of two hosts need not agree."""
    usage: UsageRecord | None = None
    """The newest measurement of memory and load, see `machine.usage`."""
    updated_at: Text = ""
    boot_id: Text = ""
    """The boot of the host, by which it is recognised under another name."""


@dataclass(slots=True)
class RunView:
    """The state of a run. The fields after `process` are not in status.json."""

    name: Text = ""
    state: Text = "starting"
    stage: Text = ""
    """The stage of a start that is under way."""
    reason: Text = ""
    step: Count = 0
    epoch: Count = 0
    total_steps: Count | None = None
    steps_per_epoch: Count | None = None
    elapsed_s: Seconds = 0.0
    model: Model = field(default_factory=Model)
    generation: Count = 0
    """The number of times the run was resumed."""
    numbers: StepNumbers = field(default_factory=StepNumbers)
    scores: Scores = field(default_factory=Scores)
    final_test: FinalTest = field(default_factory=FinalTest)
    saved: Saved = field(default_factory=Saved)
    process: Process = field(default_factory=Process)
    run_dir: str = ""
    max_seconds: float | None = None
    ending: RunEnded | None = None
    speed: Speed = field(default_factory=Speed, compare=False)

    @property
    def ended(self) -> bool:
        return self.state in ENDED_STATES

    @property
    def is_starting(self) -> bool:
        """Whether no numbers of this start of the run are there yet."""
        return self.state in ("starting", "running") and self.numbers.loss is None

    @property
    def lacks_only_test(self) -> bool:
        """Whether all steps are taken and saved, but the test was not finished."""
        return bool(self.final_test.part) and self.ended and self.scores.test is None

    @property
    def run(self) -> RunDirectory:
        """The directory of the run; if it is not known, the name stands for it."""
        return RunDirectory(Path(self.run_dir or self.name))

    @property
    def message(self) -> str:
        """Why the run is in its state, or why its newest save failed."""
        return self.reason or self.saved.failure

    @property
    def eta_s(self) -> float | None:
        """Seconds of training until the nearer limit, at the present speed; None if unknown.

        During the test it is the time until the present part of it is done.
        """
        if self.state == "testing":
            return self.final_test.eta_s
        if self.is_starting:
            return None
        limits: list[float] = []
        if self.total_steps is not None and self.speed.step_s is not None:
            limits.append((self.total_steps - self.step) * self.speed.step_s)
        if self.max_seconds is not None:
            limits.append(self.max_seconds - self.elapsed_s)
        return max(min(limits), 0.0) if limits else None

    def apply(self, event: Event) -> None:
        """Update the view by an event."""
        # Only a start may go back; other events can arrive late.
        self.step = max(event.step, self.step) if not isinstance(event, RunStarted) else event.step
        scores = self.scores
        match event:
            case RunStarted():
                self._start(event)
            case StageStarted():
                self.stage = event.stage
            case StateChanged():
                self.state, self.reason, self.stage = event.state, event.reason, ""
            case Edited():
                self.total_steps = event.total_steps
            case StepsTaken():
                self._take_steps(event)
            case MeasurementAdvanced():
                self.final_test.apply(event)
            case ValidationEnded():
                self.epoch, scores.validation = event.epoch, event.metrics
                scores.stale = event.stale
                if event.improved:
                    scores.best, scores.best_step = event.metrics, event.step
            case CheckpointSaved():
                self.saved.step, self.saved.failure = event.step, ""
            case SaveFailed():
                self.saved.failure = event.reason
            case RunEnded():
                self.state, self.reason, self.stage = event.state, event.reason, ""
                self.elapsed_s, self.epoch, scores.test = event.elapsed_s, event.epoch, event.test
                self.run_dir, self.ending = event.run_dir or self.run_dir, event
                if event.test is not None:
                    self.final_test = FinalTest()
                if event.best:
                    scores.best, scores.best_step = event.best["metrics"], event.best["step"]

    def _start(self, event: RunStarted) -> None:
        self.name, self.epoch = event.run, event.epoch
        self.model = Model(event.device, event.parameters, event.trained_parameters)
        self.generation = event.generation
        self.scores.better = event.better
        self.total_steps, self.steps_per_epoch = event.total_steps, event.steps_per_epoch
        self.speed, self.numbers, self.final_test = Speed(), StepNumbers(), FinalTest()
        if self.scores.best_step is not None and self.scores.best_step > event.step:
            # The run went back to before its best, as after a loss that was not finite.
            self.scores.best = self.scores.best_step = None

    def _take_steps(self, event: StepsTaken) -> None:
        self.epoch = max(event.epoch, self.epoch)
        self.numbers.apply(event)
        if math.isfinite(event.elapsed_s):
            # Lines of metrics may be applied after a status that is already further.
            self.elapsed_s = event.elapsed_s if event.step >= self.step else self.elapsed_s
            self.speed.add(event.step, event.elapsed_s)

    def update(self, status: RunView) -> None:
        """Take what the status.json of a running process says beyond events and lines.

        A status from another start of the run is ignored.
        """
        if status.generation != self.generation:
            return
        self.process = status.process
        if self.state in _COURSE and status.state in _COURSE[_COURSE.index(self.state) + 1 :]:
            # The event that says so may only be read with the next lines.
            self.state, self.reason, self.stage = status.state, status.reason, status.stage
        if status.final_test.part and not self.ended:
            # A copy, because events change it.
            self.final_test = replace(status.final_test)
        if status.step >= self.step:
            self.step, self.epoch = status.step, max(status.epoch, self.epoch)
            if status.elapsed_s > self.elapsed_s:
                self.elapsed_s = status.elapsed_s
                self.speed.add(status.step, status.elapsed_s)
            self.numbers.update(status.numbers)
        elif status.numbers.waiting_share is not None:
            # Lines of metrics do not have it.
            self.numbers.waiting_share = status.numbers.waiting_share

    def to_dict(self) -> dict[str, Any]:
        """Return the content of status.json, as one flat mapping."""
        plain = {key: getattr(kept.owner(self), kept.name) for key, kept in _FIELDS.items()}
        return {**plain, "message": self.message}

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> RunView:
        """Return the view in the content of status.json; unknown keys are ignored.

        Raises:
            ValueError: a value is out of its bounds, or name or state are missing.
        """
        view = RunView()
        if "name" not in plain or "state" not in plain:
            raise ValueError("a status needs a name and a state")
        for key, value in plain.items():
            if key in _FIELDS:
                kept = _FIELDS[key]
                if not kept.fits(value):
                    raise ValueError(f"{key} is out of bounds")
                setattr(kept.owner(view), kept.name, value)
        message = plain.get("message", "")
        if not is_text(message):
            raise ValueError("message is out of bounds")
        # Version 0.1 wrote only the message.
        view.reason = view.reason or ("" if "reason" in plain else message)
        return view


@dataclass(frozen=True, slots=True)
class _Kept:
    """The place in a view for a value of status.json."""

    part: str
    name: str
    fits: Check

    def owner(self, view: RunView) -> Any:
        return getattr(view, self.part) if self.part else view


def _or_none(fits: Check) -> Check:
    return lambda value: value is None or fits(value)


def _fields_of(part: str, kind: type, keys: Mapping[str, str] | None = None) -> dict[str, _Kept]:
    """Return the kept fields of a part by key; `keys` maps names to keys that differ."""
    kept = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        kinds = [inner for inner in (hint, *get_args(hint)) if get_origin(inner) is Annotated]
        if kinds:
            fits = kinds[0].__metadata__[0]
            is_optional = kinds[0] is not hint
            key = (keys or {}).get(name, name)
            kept[key] = _Kept(part, name, _or_none(fits) if is_optional else fits)
    return kept


_FIELDS: dict[str, _Kept] = {
    **_fields_of("", RunView),
    # Numbers that were not finite are null in the file.
    **{own.name: _Kept("numbers", own.name, _or_none(is_number)) for own in NUMBERS},
    **_fields_of("scores", Scores),
    **_fields_of(
        "final_test", FinalTest, {own.name: f"test_{own.name}" for own in fields(FinalTest)}
    ),
    **_fields_of("model", Model),
    **_fields_of("saved", Saved, {"step": "saved_step", "failure": "save_failure"}),
    **_fields_of("process", Process),
}
"""The keys of status.json."""
