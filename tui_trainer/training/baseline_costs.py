"""Which baselines are worth their cost beside a training, by the sizes of data and model alone.

Layer: training. No clock decides: a run has the same results on a busy machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.data.base.split import Split
from tui_trainer.models.summary import count_parameters
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.baselines import Baseline, baselines_of
from tui_trainer.training.task import Task

TIMES = 10
"""A baseline that costs more than this many times the training is left out."""
ALWAYS = 20_000_000_000
"""What costs at most this many operations, a second or two, is always computed."""
STEP_OPERATIONS = 10_000_000
"""About what a step costs beside its arithmetic: a millisecond."""


def training_cost(task: Task, steps: int) -> int:
    """Return about how many operations that many steps take, validations left out.

    Forward and backward together take six per parameter and position (J. Kaplan and others,
    Scaling Laws for Neural Language Models, 2020). A convolution takes more of them.
    """
    signature = task.dataset.signature
    positions = signature.input_shape[0] if signature.kind in ("tokens", "sequence") else 1
    samples = steps * task.batches.samples // max(task.steps_per_epoch, 1)
    arithmetic = 6 * count_parameters(task.model) * positions * samples
    return arithmetic + steps * STEP_OPERATIONS


def is_affordable(baseline: Baseline, training: int) -> bool:
    """Whether a baseline does not cost far more than a training that takes so many operations."""
    return baseline.cost <= max(ALWAYS, TIMES * training)


def choose_baselines(
    task: Task, split: Split, steps: int, run: RunDirectory
) -> tuple[list[Baseline], list[str]]:
    """Return the baselines of a split that are worth their cost, and a note for each of the others.

    `steps` is the length of the training, and `run` is the one that the notes are about.
    """
    candidates = baselines_of(task.dataset, split)
    cost = training_cost(task, steps)
    notes = left_out(candidates, cost, run.command("evaluate", "--baselines"))
    return [one for one in candidates if is_affordable(one, cost)], notes


def left_out(candidates: Sequence[Baseline], training: int, command: str) -> list[str]:
    """Return a note for each baseline that is left out, with the command that computes it."""
    return [
        f"baseline {one.name.replace('_', ' ')} left out: by its sizes it costs "
        f"{one.cost / max(training, 1):,.0f} times as much as the training; "
        f"{command} computes it"
        for one in candidates
        if not is_affordable(one, training)
    ]
