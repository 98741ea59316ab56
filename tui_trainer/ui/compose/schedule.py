"""`ScheduleSketch`: a small drawing of the learning rate over a run, next to the form.

Layer: ui. It draws its own dots instead of using plotext, which would delay the first screen by a
tenth of a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text
from textual.widgets import Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.schedules import factor, follows_validation, needs_epochs
from tui_trainer.runs.limits import horizon
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import rate_text
from tui_trainer.ui.plots.markers import Markers, markers_for

MOST_STEPS = 200
NOMINAL_STEPS = 1000
LABEL_WIDTH = 14
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
HALVES = {"block": " ▀▄█", "ascii": " '.:"}


@dataclass(frozen=True, slots=True)
class Rates:
    """The learning rate at steps spread over a run; `steps` is None if its length is unknown."""

    values: tuple[float, ...]
    """Empty if the rates cannot be known without the data."""
    steps: int | None
    follows_validation: bool = False
    """Whether the rate may fall after any validation, which cannot be drawn in advance."""
    wrong: str = ""
    """Why the schedule of a plugin gives no rates, with its file and line."""


def rates(experiment: Experiment, steps_per_epoch: int | None) -> Rates:
    """Return the rates of a run, or of a nominal one that shows their shape.

    Warm-up is counted in steps: in a run of unknown length it takes at most a tenth of the drawing.
    """
    schedule, epochs = experiment.schedule, experiment.training.epochs
    known = _known_steps(experiment, steps_per_epoch)
    warmup = int(getattr(schedule, "warmup_steps", 0))
    total = known or max(NOMINAL_STEPS, 10 * warmup)
    if needs_epochs(schedule) and steps_per_epoch is None:
        if epochs is None:
            return Rates((), known)
        steps_per_epoch = -(-total // epochs)
        total = epochs * steps_per_epoch
    count = min(total, MOST_STEPS)
    steps = {round(i * (total - 1) / max(count - 1, 1)) for i in range(count)}
    lr = experiment.optimizer.lr
    try:
        values = tuple(
            lr * factor(schedule, step, total, steps_per_epoch=steps_per_epoch)
            for step in sorted(steps)
        )
    except BadInput as error:
        place, colon, said = str(error).partition(": ")
        # The folder would take up the room of what is wrong.
        return Rates((), known, wrong=f"{os.path.basename(place)}{colon}{said}")
    return Rates(values, known, follows_validation(schedule))


def _known_steps(experiment: Experiment, steps_per_epoch: int | None) -> int | None:
    if steps_per_epoch is None and experiment.training.epochs is not None:
        return None
    return horizon(experiment, steps_per_epoch or 0)


class ScheduleSketch(Static):
    """The schedule of an experiment; blank until there is one."""

    DEFAULT_CSS = """
    ScheduleSketch { height: 3; color: $text-success; }
    ScheduleSketch.-wrong { color: $text-error; }
    """

    def __init__(
        self,
        markers: Literal["auto", "braille", "block", "ascii"] = "auto",
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__("", markup=False, id=id, classes=classes)
        encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        self._markers = markers_for(markers, os.environ, encoding)
        self._rates: Rates | None = None

    def show(self, experiment: Experiment | None, steps_per_epoch: int | None) -> None:
        """Draw the schedule of an experiment; nothing for None."""
        new = rates(experiment, steps_per_epoch) if experiment is not None else None
        if new != self._rates:
            self._rates = new
            self._sketch()

    def on_resize(self) -> None:
        self._sketch()

    def _sketch(self) -> None:
        width, height = self.size
        wrong = self._rates.wrong if self._rates is not None else ""
        self.set_class(bool(wrong), "-wrong")
        if wrong:
            self.update(Text(clean(wrong, 300)), layout=False)
            return
        if self._rates is None or not self._rates.values or width < 1 or height < 1:
            self.update("", layout=False)
            return
        has_labels = width >= 2 * LABEL_WIDTH
        canvas = width - LABEL_WIDTH if has_labels else width
        rows = sketch(self._rates.values, canvas, height, self._markers)
        if has_labels:
            labels = _labels(self._rates, height)
            rows = [
                f"{row} {text:<{LABEL_WIDTH - 1}}" for row, text in zip(rows, labels, strict=True)
            ]
        self.update(Text("\n".join(rows), no_wrap=True, end=""), layout=False)


def _labels(shown: Rates, height: int) -> list[str]:
    """Return the highest rate for the top, the lowest for the bottom, the run's length between."""
    high, low = max(shown.values), min(shown.values)
    labels = [""] * height
    length = f"{shown.steps:,} steps" if shown.steps is not None else "over the run"
    if shown.follows_validation:
        length = "by validation"
    if height > 2:
        labels[height // 2] = length
    if high == low:
        labels[0] = f"lr {rate_text(high)}"
        return labels
    labels[-1] = f"min {rate_text(low)}"
    labels[0] = f"max {rate_text(high)}"
    return labels


def sketch(values: Sequence[float], width: int, height: int, markers: Markers) -> list[str]:
    """Draw a line through the values, from lowest to highest, in `width` by `height` cells."""
    across, down = (2, 4) if markers == "braille" else (1, 2)
    columns, levels = width * across, height * down
    low, high = min(values), max(values)
    dots: set[tuple[int, int]] = set()
    before = None
    for column in range(columns):
        value = values[round(column * (len(values) - 1) / max(columns - 1, 1))]
        share = (value - low) / (high - low) if high > low else 0.5
        level = round((1 - share) * (levels - 1))
        reached = level if before is None else before + (level > before) - (level < before)
        dots.update((column, at) for at in range(min(level, reached), max(level, reached) + 1))
        before = level
    return [
        "".join(_cell(dots, x * across, y * down, markers) for x in range(width))
        for y in range(height)
    ]


def _cell(dots: set[tuple[int, int]], x: int, y: int, markers: Markers) -> str:
    """Return the character whose first dot is at (x, y)."""
    if markers != "braille":
        return HALVES[markers][((x, y) in dots) + 2 * ((x, y + 1) in dots)]
    bits = sum(
        bit
        for dy, pair in enumerate(BRAILLE_DOTS)
        for dx, bit in enumerate(pair)
        if (x + dx, y + dy) in dots
    )
    return chr(0x2800 + bits) if bits else " "
