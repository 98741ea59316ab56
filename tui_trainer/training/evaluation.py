"""Evaluation of a run's checkpoint on a split, or on a labelled file of its own.

Layer: training. The preprocessing recorded in the checkpoint is used; it is not fitted again.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import torch

from tui_trainer.config.experiment import Experiment
from tui_trainer.data.base.split import Measurable, Split
from tui_trainer.data.batches.joined import JoinedSplits
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.files.table_reader import FROM_CACHE
from tui_trainer.data.labelled import count_known, read_labelled
from tui_trainer.data.splits.record import RowChanges
from tui_trainer.problems.problem import Result
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import BadInput
from tui_trainer.training.baseline_costs import choose_baselines
from tui_trainer.training.baselines import Baseline, baselines_of, compute
from tui_trainer.training.changes import (
    check_model,
    data_change,
    evaluation_notes,
    prediction_notes,
)
from tui_trainer.training.checkpoints import Checkpoint, choose_checkpoint
from tui_trainer.training.measurement import measure_task
from tui_trainer.training.metrics import Measurement
from tui_trainer.training.prediction import outline_of_files
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.split_file import read_record
from tui_trainer.training.task import Task, build


@dataclass(frozen=True, slots=True)
class EvaluatedFile:
    """A labelled file that took the place of a split."""

    name: str
    """Cleaned for display."""
    count: str
    """How much it is, as `80 rows`."""
    samples: int
    known: int | None
    """How many of them have the inputs of a training sample; None if that is not known."""
    is_own: bool
    """Whether it is the file of the run itself, so that its rows were trained on."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of one checkpoint on one split or file, with baselines."""

    step: int
    split: str
    """`train`, `val`, `test`, or `data` for a file of its own."""
    metrics: dict[str, float]
    """Empty if only the baselines were computed."""
    baseline: dict[str, dict[str, float]]
    notes: tuple[str, ...]
    result: Result | None = None
    classes: tuple[str, ...] = ()
    """The names of the classes, of the labels, or of several numbers."""
    file: EvaluatedFile | None = None
    changes: RowChanges | None = None
    """How the rows differ from those of the run; None in runs of older versions."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of the result only the fields that it has."""
        result = {} if self.result is None else asdict(self.result)
        file = self.file
        changes = self.changes
        return {
            "step": self.step,
            "split": self.split,
            **(
                {"file": file.name, "samples": file.samples, "training_samples": file.known}
                if file is not None
                else {}
            ),
            **self.metrics,
            "baseline": self.baseline,
            **{name: value for name, value in result.items() if value is not None},
            **({"classes": list(self.classes)} if any(result.values()) else {}),
            "notes": list(self.notes),
            "rows": None if changes is None else {"gone": changes.gone, "new": changes.new},
        }


def evaluate(
    run: RunDirectory,
    experiment: Experiment,
    device: torch.device,
    split: str,
    which: str,
    *,
    only_baselines: bool = False,
) -> Evaluation:
    """Measure the `which` checkpoint (last, best or a step) of a run on train, val or test.

    The baselines are those that the run itself computes. With `only_baselines` the model is not
    measured, and all baselines are computed, whatever they cost.

    Raises:
        CheckpointUnusable: it cannot be read, or belongs to another model.
        BadInput: there is no such step, or the data cannot be read.
    """
    checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.command("evaluate"))
    data = checkpoint.data
    record = read_record(run.splits)
    task = build(experiment, SingleRank(), device, data.preprocessing, record=record)
    check_model(task.model, data)
    task.model.load_state_dict(data.state.measured)
    chosen = {"train": task.dataset.train, "val": task.dataset.val, "test": task.dataset.test}[
        split
    ]
    if not len(chosen):
        key = {"val": "val_fraction", "test": "test_fraction"}[split]
        raise BadInput(
            f"{run.path.name} has no {task.dataset.noun}s in the split {split}: dataset.{key} is "
            "0; --split measures on another one"
        )
    notes += evaluation_notes(task, data.origin, run)
    notes += [note for note in task.dataset.notes if note == FROM_CACHE]
    measured = None if only_baselines else _measured(task, chosen)
    # On the training split, nearest neighbours and their like would know the answers.
    compared = None if split == "train" else chosen
    baseline, left_out = _baselines(task, compared, run, every=only_baselines)
    return _evaluation(checkpoint, split, task, measured, baseline, (*notes, *left_out))


def evaluate_file(
    run: RunDirectory,
    experiment: Experiment,
    device: torch.device,
    path: str,
    which: str,
    *,
    only_baselines: bool = False,
) -> Evaluation:
    """Measure a checkpoint of a run on a labelled file of its own, all of it.

    The baselines are fitted to the training data of the run, which are read for them; otherwise as
    `evaluate`, which raises the same errors.
    """
    checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.command("evaluate"))
    data = checkpoint.data
    info = data.outline() or outline_of_files(data, experiment)
    labelled = read_labelled(experiment.dataset, data.preprocessing, path, info, experiment.problem)
    record = read_record(run.splits)
    task = build(experiment, SingleRank(), device, data.preprocessing, record=record)
    check_model(task.model, data)
    task.model.load_state_dict(data.state.measured)
    if change := data_change(task, data.origin):
        notes.append(f"the baselines are fitted to other data than the model: {change}")
    notes += [*prediction_notes(data.origin, run), *labelled.notes]
    samples = len(labelled.split)
    if known := count_known(task.dataset.train, labelled.split):
        nouns = "rows have" if samples > 1 else "row has"
        notes.append(
            f"{known:,} of {samples:,} {nouns} the inputs of a training row; the model has seen "
            "them"
        )
    placed = _placed(task, labelled.split)
    measured = None if only_baselines else _measured(task, placed)
    compared = None if isinstance(placed, JoinedSplits) else placed
    baseline, left_out = _baselines(task, compared, run, every=only_baselines)
    is_own = _is_same_file(path, experiment.dataset.path)
    file = EvaluatedFile(labelled.name, labelled.count, samples, known, is_own)
    return _evaluation(checkpoint, "data", task, measured, baseline, (*notes, *left_out), file)


def _is_same_file(path: str, other: str) -> bool:
    try:
        return path == other or os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _placed(task: Task, split: Split | JoinedSplits) -> Split | JoinedSplits:
    """Return a split where the training data are; samples that a plugin reads stay where they are.

    Those are read in this process: a worker would make the data of the run again.
    """
    train = task.dataset.train
    if isinstance(split, TensorSplit) and isinstance(train, TensorSplit):
        return split.to(train.inputs.device)
    if isinstance(split, TextSplit) and isinstance(train, TextSplit):
        return split.to(train.data.device)
    return split


def _measured(task: Task, split: Measurable) -> Measurement:
    with task.feed.workers():
        found = measure_task(task, task.forward, split, with_result=True)
    assert found is not None, "without `interrupted` a measurement runs to its end"
    return found


def _baselines(
    task: Task, split: Split | None, run: RunDirectory, *, every: bool
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Return the baselines on a split, with `every` whatever they cost, and notes on the others."""
    baselines: list[Baseline] = []
    notes: list[str] = []
    if split is not None and every:
        baselines = baselines_of(task.dataset, split)
    elif split is not None:
        # The length of the training, from whichever checkpoint the weights are.
        steps = read_manifests(run.checkpoints)[-1].step
        baselines, notes = choose_baselines(task, split, steps, run)
    with task.feed.workers():
        return compute(baselines), notes


def _evaluation(
    checkpoint: Checkpoint,
    split: str,
    task: Task,
    measured: Measurement | None,
    baseline: dict[str, dict[str, float]],
    notes: tuple[str, ...],
    file: EvaluatedFile | None = None,
) -> Evaluation:
    info = task.dataset.info
    return Evaluation(
        checkpoint.manifest.step,
        split,
        {} if measured is None else measured.metrics,
        baseline,
        notes,
        None if measured is None else measured.result,
        info.classes or info.target_names,
        file,
        task.dataset.changes,
    )
