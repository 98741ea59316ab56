"""`next_border`: the next border between two steps at which anything may be due.

Layer: training. Between two such borders the loop takes step after step and looks at the clock and
for commands alone. A border that comes too early costs a few microseconds; none may come too late.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tui_trainer.training.training import Training

_MOST_S = 5.0
"""From border to border on a GPU no cycles are collected, and what is in them keeps its memory."""


class NextBorder(NamedTuple):
    """A border, by the number of steps that were taken or by the time, whichever comes first."""

    step: int
    elapsed_s: float
    """In seconds of training."""


def next_border(training: Training) -> NextBorder:
    """Return the next border with anything to do; call it when all is done at this one.

    Commands and the end of the epoch are not foreseen: a step may be passed over if its samples
    cannot be read. While a save is under way, its end is looked for after each step.
    """
    progress, settings = training.progress, training.experiment
    if training.commands.replay or training.directory.is_due or training.saver.is_busy:
        # At once, since edits that are replayed may move any of the borders below.
        return NextBorder(progress.step, 0.0)
    limits, saves = settings.training, settings.checkpoint
    steps = [progress.step + training.recorder.room]
    steps += [
        progress.step + every - progress.step % every
        for every in (limits.validate_every_steps, saves.every_steps)
        if every is not None
    ]
    if training.frozen_groups.due_step is not None:
        steps.append(training.frozen_groups.due_step)
    if limits.max_steps is not None:
        steps.append(limits.max_steps)
    times_s = (
        training.shared.watch.elapsed_s() + _MOST_S,
        training.recorder.due_s,
        training.saver.due_s,
        math.inf if limits.max_seconds is None else limits.max_seconds,
    )
    return NextBorder(min(steps), min(times_s))
