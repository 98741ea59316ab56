"""Runs with few rows to measure on, or none: what they cannot do, and how sure their test is.

Layer: training.
"""

from __future__ import annotations

import math

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.schedules import PlateauSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.text.format import counted

FEW = 200
"""With fewer test rows, how sure a result is is said."""
_OF_95_PERCENT = 1.96
"""Standard deviations on either side of the mean that 95 % of a normal distribution are within."""


def check_measured(experiment: Experiment, dataset: Dataset) -> None:
    """Check that nothing depends on a validation if there are no rows for it.

    Raises:
        ConfigError: names each setting that does.
    """
    if len(dataset.val):
        return
    default = type(experiment.checkpoint).model_fields["monitor"].default
    needed = {
        "early_stopping.patience": experiment.early_stopping.patience is not None,
        "schedule.type": isinstance(experiment.schedule, PlateauSection),
        "checkpoint.monitor": experiment.checkpoint.monitor != default,
    }
    problems = [
        Problem(
            f"needs a validation, and dataset.val_fraction=0 leaves no {dataset.noun}s for one", key
        )
        for key, is_set in needed.items()
        if is_set
    ]
    if problems:
        raise ConfigError(problems)


def uncertainty_notes(dataset: Dataset) -> list[str]:
    """Return notes on splits without rows, and on how sure a test on few rows is.

    For accuracies it is the normal approximation of the binomial distribution at one half. For
    errors it is that of the standard deviation of n normal numbers, 1 / sqrt(2 n) of it (S. Ahn and
    J. Fessler, Standard Errors of Mean, Variance, and Standard Deviation Estimators, 2003).
    """
    notes, no_samples = [], f"no {dataset.noun}s"
    if not len(dataset.val):
        notes.append(f"{no_samples} for validation: no step is the best, and the last one is kept")
    count = len(dataset.test)
    if not count:
        notes.append(f"{no_samples} for a test: nothing shows how good the model is on new data")
    if not 0 < count < FEW or dataset.signature.places != "one":
        return notes
    size = f"the test has {counted(count, dataset.noun)}"
    if not PROBLEMS[dataset.problem].is_measured_as_its_base:
        return notes
    if dataset.base in ("classification", "multilabel"):
        points = 100 * _OF_95_PERCENT * math.sqrt(0.25 / count)
        notes.append(
            f"{size}: an accuracy is known to {points:.0f} points or better (95 % of the time)"
        )
    elif dataset.base == "regression":
        percent = 100 * _OF_95_PERCENT / math.sqrt(2 * count)
        notes.append(f"{size}: an RMSE is known to about {percent:.0f} % (95 % of the time)")
    return notes
