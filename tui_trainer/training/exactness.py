"""Proves that a training can be cut anywhere: resumed, it equals the uncut one bit for bit.

Layer: training. Used for the code of plugins, whose state may be where no checkpoint has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import with_value
from tui_trainer.config.plugin_loader import LOSS_FACTORIES, OWN_METRICS
from tui_trainer.config.sections.transforms import NO_TRANSFORM
from tui_trainer.data.base.random import GeneratorStates, preserved_generators
from tui_trainer.problems.batch import Batch
from tui_trainer.runs.commands import Set, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.events import Event, RunEnded, StepsTaken
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.runs.tail import records_from
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.loop import train
from tui_trainer.training.measurement import measure_task
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.split_file import read_record, write_record
from tui_trainer.training.start_point import FromCheckpoint, FromScratch, StartPoint
from tui_trainer.training.task import Task, build

_OF_THE_CLOCK = ("elapsed_s", "samples_per_s")
_OF_THE_FILE = ("elapsed_s", "metrics_bytes", "held_line")
_MOST_BATCHES = 20
"""So many batches of an epoch are compared."""
_CLOSE = 1e-5
"""The relative difference of sums that are added up in another order."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A property that was checked."""

    name: str
    text: str
    """What was found, in a line."""
    holds: bool


def prove(experiment: Experiment, steps: int, folder: Path) -> Iterator[Proof]:
    """Check an experiment with code of the user's, one property after the other.

    Args:
        steps: of the trainings that are compared.
        folder: empty; runs are made in it.

    Raises:
        BadInput: the experiment cannot be trained.
    """
    device = torch.device("cpu")
    with preserved_generators():
        task = build(experiment, SingleRank(), device)
        twice = _samples(task, build(experiment, SingleRank(), device), "read twice")
        yield twice
        workers = with_value(experiment, "loader.num_workers", 2)
        yield _samples(task, build(workers, SingleRank(), device), "read by 2 workers")
        if len(task.dataset.val):
            trace = _leaves_no_trace(task)
            yield trace
            if twice.holds and trace.holds:
                # Otherwise other samples are measured each time, or with other random numbers.
                yield _batch_sizes(task)
    with preserved_generators():
        yield compare_cuts(experiment, steps, folder)


def _samples(task: Task, other: Task, how: str) -> Proof:
    """Compare the training batches of an epoch with those of a task that was built again."""
    name = f"samples {how}"
    with task.feed.workers(), other.feed.workers():
        pairs = zip(task.batches.epoch(0), other.batches.epoch(0), strict=True)
        for index, (batch, again) in enumerate(pairs):
            if field := _differing(batch, again):
                text = f"the {field} of batch {index} differs: "
                if task.experiment.transform.type != NO_TRANSFORM:
                    text += "a transform draws random numbers from its `generator` alone; samples "
                text += "draw random numbers from torch, "
                text += "numpy or random, which are seeded for each sample, or not at all, and let "
                text += "no sample depend on those that were read before"
                return Proof(name, text, holds=False)
            if index == _MOST_BATCHES:
                break
    return Proof(name, "are the same", holds=True)


def _differing(batch: Batch, other: Batch) -> str:
    if batch.keys() != other.keys():
        return "list of fields"
    return next((name for name, field in batch.items() if not field.equal(other[name])), "")


def _batch_sizes(task: Task) -> Proof:
    """Compare the metrics of the validation split that batches of two sizes give."""
    name, found = "metrics", []
    for size in (task.eval_batch_size, 3):
        training = task.experiment.training.model_copy(update={"eval_batch_size": size})
        sized = replace(task, experiment=replace(task.experiment, training=training))
        with task.feed.workers():
            measured = measure_task(sized, task.forward, task.dataset.val)
        assert measured is not None, "nothing interrupts it"
        found.append(measured.metrics)
    for metric, value in found[0].items():
        other = found[1][metric]
        same = math.isclose(value, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
        if same or (math.isnan(value) and math.isnan(other)):
            continue
        if task.recipe is not None:
            text = f"{metric} depends on training.eval_batch_size, because random numbers of a "
            return Proof(name, text + "recipe do, or it is a mean over a batch", holds=True)
        text = f"{metric} is {value:.6g} in batches of {task.eval_batch_size}, and "
        text += f"{other:.6g} in batches of 3; "
        text += _why_sizes_matter(task, metric)
        return Proof(name, text, holds=False)
    return Proof(name, f"do not depend on the batch size ({', '.join(found[0])})", holds=True)


def _why_sizes_matter(task: Task, metric: str) -> str:
    """Say what a metric that depends on the size of the batches has to do about it."""
    own_loss = task.experiment.loss.type in LOSS_FACTORIES or task.forward.with_loss
    if metric == "loss" and own_loss:
        return "return the mean over the samples of a batch, each with the same weight"
    if metric in OWN_METRICS:
        return "return a number for each sample, or collect"
    return (
        "the outputs of the model for a sample depend on the others of its batch, as they do if "
        "it takes padding for data"
    )


def _leaves_no_trace(task: Task) -> Proof:
    """Compare weights, buffers and generators before and after a validation."""
    name = "validation"
    before, states = _state_of(task), GeneratorStates.capture().to_dict()
    with task.feed.workers():
        measure_task(task, task.forward, task.dataset.val)
    for key, value in _state_of(task).items():
        if not value.equal(before[key]):
            return Proof(name, f"changes {key} of the model", holds=False)
    for key, state in GeneratorStates.capture().to_dict().items():
        if first_difference(states[key], state, key):
            text = f"draws from the generator of {key}; "
            text += (
                "a model may draw random numbers only in training (if self.training), and a metric "
                "none"
                if task.recipe is None
                else "use step.randn and the like in a recipe"
            )
            return Proof(name, text, holds=False)
    return Proof(name, "leaves weights, buffers and generators as they are", holds=True)


def _state_of(task: Task) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in task.model.state_dict().items()}


def _short(experiment: Experiment, steps: int) -> Experiment:
    """Return the experiment with so many steps, whose numbers are recorded at each of them."""
    changes: dict[str, Any] = {
        "training.epochs": None,
        "training.max_steps": steps,
        "training.max_seconds": None,
        "training.device": "cpu",
        "training.validate_every_steps": 2,
        "checkpoint.every_seconds": None,
        "early_stopping.patience": None,
        "logging.every_steps": 1,
        "logging.every_seconds": 1e-6,
    }
    for key, value in changes.items():
        with suppress(KeyError):
            experiment = with_value(experiment, key, value)
    return experiment


def compare_cuts(
    experiment: Experiment,
    steps: int,
    folder: Path,
    *,
    edit: Set | None = None,
    edited_at: int = 0,
    workers: int = 0,
) -> Proof:
    """Compare an uncut training with those that are cut after each step, and built again.

    Args:
        steps: how many are trained.
        folder: empty; runs are made in it.
        edit: of a live setting, which all of them make after the step `edited_at`.
        workers: of the trainings that are cut; the uncut one has none.
    """
    experiment = _short(experiment, steps)
    name = f"{counted(steps, 'step')}, cut and resumed"
    whole = _Trained(experiment, RunDirectory(folder / "whole"), edit, edited_at)
    whole.start()
    cut_experiment = with_value(experiment, "loader.num_workers", workers)
    for cut_at in range(1, steps):
        run = RunDirectory(folder / f"cut-{cut_at}")
        cut = _Trained(cut_experiment, run, edit, edited_at)
        cut.start(stop_at=cut_at)
        cut.resume(is_edited=edited_at <= cut_at)
        if difference := whole.difference(cut):
            text = f"cut after step {cut_at}: {difference}; a resume knows only what the model's "
            text += "weights and buffers keep, and an optimizer's state: keep nothing elsewhere"
            return Proof(name, text, holds=False)
    text = "at each of them, equal the uncut training in every loss, weight and buffer"
    return Proof(name, text, holds=True)


class _Trained:
    """A short training in a directory of its own."""

    def __init__(
        self, experiment: Experiment, run: RunDirectory, edit: Set | None, edited_at: int
    ) -> None:
        self._experiment = experiment
        self._run = run
        self._edits = {} if edit is None else {edited_at: edit}
        """By the step after which they are made."""
        make_skeleton(run)

    def start(self, stop_at: int | None = None) -> None:
        self._train(FromScratch(), None, self._edits, stop_at)

    def resume(self, *, is_edited: bool) -> None:
        """Go on from the last checkpoint, with everything built again.

        With `is_edited` the edit is in the journal of the run, and made again from there.
        """
        checkpoint, _ = choose_checkpoint(self._run.checkpoints, "last", "")
        checkpoint = checkpoint.with_marked_best(self._experiment.checkpoint.monitor)
        start = FromCheckpoint(checkpoint, tuple(read_edits(self._run.edits)), 1)
        self._train(start, checkpoint.data.preprocessing, {} if is_edited else self._edits, None)

    def _train(
        self,
        start: StartPoint,
        fitted: dict[str, Any] | None,
        edits: Mapping[int, Set],
        stop_at: int | None,
    ) -> RunEnded:
        record = None if fitted is None else read_record(self._run.splits)
        task = build(self._experiment, SingleRank(), torch.device("cpu"), fitted, record=record)
        if fitted is None and task.dataset.split_record is not None:
            write_record(self._run.splits, task.dataset.split_record)
        control = Control()

        def emit(event: Event) -> None:
            if not isinstance(event, StepsTaken):
                return
            # Sent from within the training, so that it arrives exactly after this step.
            if event.step in edits:
                control.send(edits[event.step])
            if event.step == stop_at:
                control.send(Stop())

        ending = train(task, start, control, emit, self._run)
        if ending.state == "failed":
            raise BadInput(ending.reason)
        return ending

    def difference(self, other: _Trained) -> str:
        """Return the first difference by step and name, or an empty string."""
        for line, theirs in zip(self._lines(), other._lines(), strict=False):
            if found := first_difference(line, theirs, f"step {line['step']}"):
                return found
        if len(self._lines()) != len(other._lines()):
            return "there are other steps"
        return first_difference(self._final(), other._final(), "the checkpoint")

    def _lines(self) -> list[dict[str, Any]]:
        records, _ = records_from(self._run.metrics, 0)
        return [{k: v for k, v in one.items() if k not in _OF_THE_CLOCK} for one in records]

    def _final(self) -> dict[str, Any]:
        newest = read_manifests(self._run.checkpoints)[-1]
        content = read_checkpoint(self._run.checkpoints, newest).data.to_dict()
        progress = {k: v for k, v in content["progress"].items() if k not in _OF_THE_FILE}
        return {**content, "progress": progress}


def first_difference(one: Any, other: Any, name: str) -> str:
    """Return where two plain values with tensors differ first, or an empty string."""
    if isinstance(one, Tensor) or isinstance(other, Tensor):
        are_tensors = isinstance(one, Tensor) and isinstance(other, Tensor)
        same = are_tensors and one.dtype == other.dtype and one.equal(other)
        return "" if same else f"{name} differs"
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return f"{name} has {', '.join(map(str, one.keys() ^ other.keys()))} only once"
        found = (first_difference(one[key], other[key], f"{name}, {key}") for key in one)
        return next(filter(None, found), "")
    if isinstance(one, list | tuple) and isinstance(other, Sequence) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        found = (first_difference(a, b, f"{name}, {place}") for place, (a, b) in pairs)
        return next(filter(None, found), "")
    are_floats = isinstance(one, float) and isinstance(other, float)
    if one == other or (are_floats and math.isnan(one) and math.isnan(other)):
        return ""
    return f"{name} is {one!r:.40} uncut, and {other!r:.40} cut and resumed"
