"""The events of a run: frozen facts made of numbers and strings, never tensors.

Layer: runs. `train` emits them from its own thread; a receiver must return immediately and must not
raise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import cache, lru_cache
from typing import Any, Literal

from tui_trainer.config.sections.metrics import Direction

RunState = Literal[
    "starting",
    "running",
    "pausing",
    "paused",
    "stopping",
    "testing",
    "finished",
    "stopped",
    "failed",
    "crashed",
]
"""No run reports `crashed` itself: a reader concludes it."""

Stage = Literal[
    "import torch",
    "read the checkpoint",
    "read the data",
    "build the model",
    "try a step",
    "first step",
]
"""The stages of a start, in their order; not every start has all of them."""

Topic = Literal["changes", "data", "model", "layers", "device"]
"""What a fact about a starting run is about; `changes` are settings that differ from the preset."""

FINAL_STATES: frozenset[str] = frozenset({"finished", "stopped", "failed"})
ENDED_STATES: frozenset[str] = FINAL_STATES | {"crashed"}


@dataclass(frozen=True, slots=True)
class Event:
    """A fact about the run at an optimizer step; comparisons ignore when it happened."""

    step: int
    at_s: float = field(default_factory=time.time, kw_only=True, compare=False, repr=False)
    """Unix time in seconds; 0 if a file does not have it."""


@dataclass(frozen=True, slots=True)
class StageStarted(Event):
    """The start of a run has reached a stage, and left the one before it."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class FactFound(Event):
    """Something about a starting run has become known; a topic may have several facts."""

    topic: Topic
    text: str


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """Everything is built and the first step is next; the run starts at `step`."""

    epoch: int
    run: str
    device: str
    parameters: int
    samples: int
    steps_per_epoch: int
    total_steps: int | None
    generation: int
    notes: tuple[str, ...] = ()
    trained_parameters: int | None = None
    """Those of `parameters` that are not frozen; None in files of older versions."""
    better: dict[str, Direction] = field(default_factory=dict)
    """The direction in which each metric of the run is better; empty in files of older versions."""
    split: str = ""
    """How the samples were split, as `split by identity`; empty in files of older versions."""


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """The run entered a state, which freed `freed_bytes` of the device's memory."""

    state: RunState
    reason: str = ""
    freed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StepsTaken(Event):
    """The numbers of the steps since the last such event; the last of these steps is `step`.

    `losses`, `grad_norms` and `lrs` have one entry per step.
    """

    epoch: int
    elapsed_s: float
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    lrs: tuple[float, ...]
    samples_per_s: float
    waiting_share: float
    others: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Further numbers of a recipe or loss by name, with one entry per step each."""


@dataclass(frozen=True, slots=True)
class ValidationStarted(Event):
    """A pass over the validation split begins, with `batches` batches."""

    batches: int


@dataclass(frozen=True, slots=True)
class ValidationEnded(Event):
    """The metrics of the validation split, without prefix; `on_demand` ones decide nothing."""

    epoch: int
    elapsed_s: float
    metrics: dict[str, float]
    duration_s: float
    improved: bool
    stale: int
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class MeasurementAdvanced(Event):
    """Reports the progress of one part of the test at the end, a few times per second.

    Too frequent for events.jsonl: other processes read it from status.json.
    """

    part: str
    """What is measured now: `validation split`, `test split` or `baseline gzip`."""
    done: int
    total: int | None
    """The number of `unit`s in this part; None if that is unknown."""
    unit: str
    elapsed_s: float
    """Seconds since the beginning of this part."""
    following: str
    """What comes after this part, in words; empty if it is the last one."""


@dataclass(frozen=True, slots=True)
class CheckpointSaved(Event):
    """A checkpoint was verified and published."""

    file: str
    size_bytes: int
    duration_s: float
    best: bool


@dataclass(frozen=True, slots=True)
class SaveFailed(Event):
    """A save failed; the checkpoints before it are untouched."""

    reason: str


@dataclass(frozen=True, slots=True)
class CommandAccepted(Event):
    """The run has seen a command."""

    id: str
    command: str
    origin: str


@dataclass(frozen=True, slots=True)
class CommandApplied(Event):
    """A command took effect at `step`, or was refused with a reason."""

    id: str
    command: str
    origin: str
    refused: str = ""
    can_force: bool = False
    """Whether the same command with `force` would be obeyed."""


@dataclass(frozen=True, slots=True)
class Edited(Event):
    """A live edit, in force from the step after `step`."""

    key: str
    old: Any
    new: Any
    origin: str
    total_steps: int | None = None
    """The number of steps from now on."""


@dataclass(frozen=True, slots=True)
class NonFinite(Event):
    """The loss or a gradient was NaN or infinite at `step`; `rows` are samples of the data file."""

    epoch: int
    what: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """A message for people."""

    text: str
    level: Literal["note", "warning", "error"] = "note"


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The last event of a run."""

    state: RunState
    reason: str
    epoch: int
    run_dir: str | None
    """The directory of the run; None if there is none, as after the failed start of a new run."""
    elapsed_s: float
    exit_code: int
    best: dict[str, Any] | None = None
    test: dict[str, float] | None = None
    baseline: dict[str, dict[str, float]] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    """The samples, steps or pixels of the test split by true class (rows) and predicted class
    (columns)."""
    labels: tuple[tuple[int, ...], ...] | None = None
    """For each label the test samples that have it, for which it is predicted, and both."""
    areas: tuple[tuple[int, ...], ...] | None = None
    """For each class the pixels of the test split that have it, for which it is predicted, and
    both."""
    scatter: tuple[tuple[float, ...], ...] | None = None
    """For some samples of the test split the true numbers, and then the predicted ones."""
    classes: tuple[str, ...] = ()
    """The names of the classes, of the labels, or of several numbers."""
    is_test_cut: bool = False
    """Whether a stop skipped a part of the test; a resume makes up for it."""
    has_begun: bool = True
    """Whether the start was committed; if not, the run is as it was before."""
    details: str = field(default="", compare=False, repr=False)
    """A traceback, for --debug."""


UNLOGGED: tuple[type[Event], ...] = (StepsTaken, MeasurementAdvanced)
"""Events that are not written to events.jsonl, because there are too many of them."""

UNWRITTEN = ("at_s", "details")
"""Fields that files lack: the time is written in another form, the traceback not at all."""


def name_of(event: Event) -> str:
    """Return the name of an event in files: `checkpoint_saved` for `CheckpointSaved`."""
    return name_of_kind(type(event))


def name_of_kind(kind: type[Event]) -> str:
    """Return the name of a kind of event in files."""
    name = kind.__name__
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


@cache
def _form(kind: type[Any]) -> tuple[str, tuple[str, ...]]:
    """Return the name of a kind of event in files, and the names of its fields there."""
    written = (item.name for item in fields(kind) if item.name not in UNWRITTEN)
    return name_of_kind(kind), tuple(written)


def to_dict(event: Event) -> dict[str, Any]:
    """Return plain data for a line of events.jsonl or of --log-format json.

    Its lists and mappings are those of the event itself, and must not be changed.
    """
    # Not `asdict`, which copies every value: a small model validates a thousand times per second.
    kind: Any = type(event)  # mypy takes `type[Event]` for unhashable
    name, names = _form(kind)
    record: dict[str, Any] = {"event": name}
    for name in names:
        record[name] = getattr(event, name)
    if event.at_s:
        record["time"] = _time_text(event.at_s)
    return record


def _time_text(at_s: float) -> str:
    """Return a Unix time as ISO 8601 in UTC, with milliseconds."""
    # Rounded to microseconds, so that a time that was read from such a text is written the same.
    second, microseconds = divmod(round(at_s * 1e6), 1_000_000)
    return f"{_second_text(second)}.{microseconds // 1000:03d}+00:00"


@lru_cache(maxsize=4)
def _second_text(second: int) -> str:
    # Hundreds of events may have the same second.
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
