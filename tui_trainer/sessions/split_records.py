"""The split of a run that starts: as its file says, as that of another run, or made anew.

Layer: sessions; imports torch only inside functions.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.lookup import find_run
from tui_trainer.runs.paths import exists
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.data.splits.record import SplitRecord
    from tui_trainer.training.task import Task


def split_of_other(experiment: Experiment) -> SplitRecord | None:
    """Return the split of the run that `dataset.split_from` names, or None.

    Raises:
        BadInput: it is no run, or one of an older version, which kept no record of its split.
        CheckpointUnusable: the record is damaged.
    """
    given = experiment.dataset.split_from
    if not given:
        return None
    from tui_trainer.training.split_file import read_record

    key = "dataset.split_from"
    try:
        run = find_run(os.path.join(given, ""), Path())
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from error
    record = read_record(run.splits)
    if record is None:
        raise BadInput(
            f"{key}: {clean(run.path.name)} is of an older version, which kept no record of its "
            "split; dataset.split_by=position splits the same data in the same way"
        )
    return replace(record, is_of_another_run=True)


def split_to_resume(
    run: RunDirectory, experiment: Experiment, *, is_fitted: bool
) -> tuple[Experiment, SplitRecord | None]:
    """Return the split that a run goes on with, or None, and the experiment that says so.

    `is_fitted`: there is a checkpoint, whose preprocessing says how the rows were split.

    Raises:
        BadInput: the run has no split yet, and no other one gives it; see `split_of_other`.
        CheckpointUnusable: the record is damaged.
    """
    from tui_trainer.training.split_file import read_record

    record = read_record(run.splits)
    if record is not None or is_fitted:
        return experiment, record
    # A new run has its record before its provenance: one without it is of an older version, and
    # one without either was killed before its rows were split.
    if exists(run.provenance):
        return with_value(experiment, "dataset.split_by", "position"), None
    return experiment, split_of_other(experiment)


def record_split(run: RunDirectory, task: Task) -> None:
    """Write the side of every row, unless the run has its record or the data have none."""
    from tui_trainer.training.split_file import write_record

    if task.dataset.split_record is not None and not exists(run.splits):
        write_record(run.splits, task.dataset.split_record)
