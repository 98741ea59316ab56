"""`StepNumbers`: the numbers that training reports with its steps, and how each is shown.

Layer: runs. One table for all of them: a number declared here and emitted in `StepsTaken` appears
in the view of a run, in status.json, in the printed lines and JSON, on the run screen, and, if it
has a key, among the curves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, get_type_hints

from tui_trainer.runs.bounds import MOST_NAMES, is_text
from tui_trainer.runs.events import StepsTaken
from tui_trainer.text.format import measured, rate_text, speed_text

Group = Literal["learning", "speed"]
_OF_THE_REPORT = {name for name, hint in get_type_hints(StepsTaken).items() if hint is float}
"""The fields of `StepsTaken` with one value for all of its steps."""


@dataclass(frozen=True, slots=True)
class StepNumber:
    """One number: its source, its names, and its format.

    `label` names it in a column. `brief`, for a narrow pane, and `line`, for progress lines, have
    `{}` in place of the value; a number without `line` is not in the progress lines. `key` is its
    name in metrics.jsonl, in JSON lines and among the curves; without a key it is in none of these.
    """

    source: str
    """The field of `StepsTaken`: a value per step, or one for all of them."""
    group: Group
    label: str
    brief: str
    text: Callable[[float | None], str]
    line: str = ""
    key: str = ""
    title: str = ""
    """The title of its plot; a key with a `/` shares the plot of a metric."""
    digits: int | None = None
    """The decimals kept in JSON lines; None keeps all."""
    width: int = 8
    """The cells reserved for its value in a narrow pane, so that nothing moves when it grows."""
    name: str = ""
    """Its name in `StepNumbers` and in status.json."""

    @property
    def is_per_step(self) -> bool:
        """Whether an event has a value for each of its steps."""
        return self.source not in _OF_THE_REPORT

    def values(self, event: StepsTaken) -> Sequence[float]:
        """Return the values of an event: one per step, or a single one of the newest step."""
        values = getattr(event, self.source)
        return values if self.is_per_step else (values,)


def percent_text(share: float | None) -> str:
    """Write a share as ` 12 %`, in five characters; `    -` if it is unknown."""
    return "    -" if share is None else f"{share * 100:3.0f} %"


@dataclass(slots=True)
class StepNumbers:
    """The newest value of each number; None before the first."""

    loss: float | None = field(
        default=None,
        metadata={
            "source": "losses",
            "key": "train/loss",
            "group": "learning",
            "label": "train loss",
            "brief": "train {}",
            "line": "loss {}",
            "text": measured,
        },
    )
    lr: float | None = field(
        default=None,
        metadata={
            "source": "lrs",
            "key": "lr",
            "title": "lr",
            "group": "learning",
            "label": "learning rate",
            "brief": "lr {}",
            "line": "lr {}",
            "text": rate_text,
        },
    )
    grad_norm: float | None = field(
        default=None,
        metadata={
            "source": "grad_norms",
            "key": "grad_norm",
            "title": "grad norm",
            "group": "learning",
            "label": "gradient norm",
            "brief": "grad {}",
            "text": measured,
        },
    )
    samples_per_s: float | None = field(
        default=None,
        metadata={
            "source": "samples_per_s",
            "key": "samples_per_s",
            "title": "samples/s",
            "group": "speed",
            "label": "samples/s",
            "brief": "{} samples/s",
            "line": "{} samples/s",
            "digits": 1,
            "width": 6,
            "text": speed_text,
        },
    )
    waiting_share: float | None = field(
        default=None,
        metadata={
            "source": "waiting_share",
            "group": "speed",
            "label": "data wait",
            "brief": "waiting for data {}",
            "width": 5,
            "text": percent_text,
        },
    )

    def apply(self, event: StepsTaken) -> None:
        """Take the newest values; a number of the whole report is unknown where it is NaN."""
        for number in NUMBERS:
            value = number.values(event)[-1]
            if number.is_per_step or not math.isnan(value):
                setattr(self, number.name, value)

    def of_group(self, group: Group) -> list[tuple[StepNumber, float | None]]:
        """Return the numbers of a group with their values, in the order of the table."""
        return [(number, getattr(self, number.name)) for number in NUMBERS if number.group == group]

    def update(self, newer: StepNumbers) -> None:
        """Take the values that a newer record has."""
        for number in NUMBERS:
            if (value := getattr(newer, number.name)) is not None:
                setattr(self, number.name, value)


NUMBERS: tuple[StepNumber, ...] = tuple(
    StepNumber(**own.metadata, name=own.name) for own in fields(StepNumbers)
)
CURVES: tuple[StepNumber, ...] = tuple(number for number in NUMBERS if number.key)
"""The numbers with a key, which have a curve."""
_KEYS = frozenset(number.key for number in CURVES)


def other_keys(line: Mapping[str, object]) -> list[str]:
    """Return the keys of a line of metrics.jsonl for further numbers of the step, as a recipe has.

    Empty if there are too many to be those of a run.
    """
    if len(line) > MOST_NAMES:
        return []
    return [key for key in line if key.startswith("train/") and key not in _KEYS and is_text(key)]
