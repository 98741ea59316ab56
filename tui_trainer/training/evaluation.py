"""Evaluation of a run's checkpoint on a split, and predictions for new samples.

Layer: training. The preprocessing recorded in the checkpoint is used; it is not fitted again. For
predictions the training data is not read, and need not exist any more.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import Experiment
from tui_trainer.data.base.batch import Measurable, Split
from tui_trainer.data.base.random import preserved_generators
from tui_trainer.data.batches.joined import JoinedSplits
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.files.masks import write_mask
from tui_trainer.data.labelled import count_known, read_labelled
from tui_trainer.data.load import load
from tui_trainer.data.sources.new_samples import Unseen, read_unseen
from tui_trainer.models.build import build_model
from tui_trainer.models.sampling import generate
from tui_trainer.problems.batch import Batch, lengths_of, to_device
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import Prediction, Result, Value
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
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import Checkpoint, choose_checkpoint
from tui_trainer.training.forward import Forward
from tui_trainer.training.metrics import Measurement, measure
from tui_trainer.training.ranks import SingleRank
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; of the result only the fields that it has."""
        result = {} if self.result is None else asdict(self.result)
        file = self.file
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
    task = build(experiment, SingleRank(), device, data.preprocessing)
    check_model(task.model, data)
    task.model.load_state_dict(data.state.measured)
    chosen = {"train": task.dataset.train, "val": task.dataset.val, "test": task.dataset.test}[
        split
    ]
    notes += evaluation_notes(task, data.origin)
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
    info = data.outline() or _outline_of_files(data, experiment)
    labelled = read_labelled(experiment.dataset, data.preprocessing, path, info, experiment.problem)
    task = build(experiment, SingleRank(), device, data.preprocessing)
    check_model(task.model, data)
    task.model.load_state_dict(data.state.measured)
    if change := data_change(task, data.origin):
        notes.append(f"the baselines are fitted to other data than the model: {change}")
    notes += [*prediction_notes(data.origin), *labelled.notes]
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
        found = measure(
            task.forward,
            split,
            task.dataset,
            task.criterion.measure,
            task.eval_batch_size,
            extras=task.extras,
            with_result=True,
        )
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
    )


@dataclass(frozen=True, slots=True)
class Predicted:
    """The prediction for one sample."""

    place: str
    """The position of the sample in its file; empty if the whole file is one sample."""
    prediction: Prediction

    @property
    def is_mask(self) -> bool:
        return self.prediction.mask is not None

    def write_mask(self, path: Path) -> None:
        """Write the mask as a PNG; CannotWrite if the file cannot be written."""
        assert self.prediction.mask is not None, "only a segmentation has masks"
        write_mask(self.prediction.mask, path)

    @property
    def value(self) -> Value:
        return self.prediction.value

    @property
    def shares(self) -> dict[str, float]:
        return self.prediction.shares


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for all samples of a file."""

    file: str
    samples: tuple[Predicted, ...]
    notes: tuple[str, ...]


class Predictor:
    """The model of a checkpoint, ready for new samples."""

    def __init__(
        self, checkpoint: Checkpoint, experiment: Experiment, device: torch.device
    ) -> None:
        """Build the model and load the weights.

        Raises:
            CheckpointUnusable: the weights belong to another model.
        """
        data = checkpoint.data
        self.step = checkpoint.manifest.step
        self.outline = data.outline() or _outline_of_files(data, experiment)
        self._kind = KINDS[self.outline.problem]
        self._dataset = experiment.dataset
        self._preprocessing = data.preprocessing
        self._device = device
        training = experiment.training
        # Outputs at each pixel are as many as in training, where they fitted into memory.
        usual = training.batch_size if self.outline.signature.places == "pixel" else 256
        self._batch_size = training.eval_batch_size or usual
        with preserved_generators():
            self.model = build_model(experiment.model, self.outline.signature).to(device).eval()
        check_model(self.model, data)
        self.model.load_state_dict(data.state.measured)
        self._forward = Forward(self.model, fields=self.outline.names, precision=training.precision)

    @property
    def makes_masks(self) -> bool:
        """Whether its predictions are masks of pictures."""
        return self.outline.signature.places == "pixel"

    def file(self, path: str) -> Predictions:
        """Predict every sample of a file.

        Raises:
            BadInput: the file cannot be read as samples like those trained on.
        """
        if self._kind.why_no_predictions:
            raise BadInput(self._kind.why_no_predictions)
        unseen = read_unseen(self._dataset, self._preprocessing, path, self.outline)
        return Predictions(path, self.predicted(unseen), unseen.notes)

    @torch.inference_mode()
    def predicted(self, unseen: Unseen) -> tuple[Predicted, ...]:
        """Predict samples that are prepared as a model takes them."""
        predictions: list[Prediction] = []
        parts: list[Tensor] = []
        for batch in unseen.split(self.outline.names[0]).in_order(self._batch_size):
            # Decoded batch by batch: the outputs of many masks would not fit into memory.
            outputs = self._forward(to_device(batch, self._device))[0].double().cpu()
            predictions += self._decoded(outputs, batch)
            if unseen.is_one:
                parts.append(outputs)
        samples = tuple(map(Predicted, unseen.places, predictions))
        if len(samples) > 1 and parts:
            together = self._kind.combine(torch.cat(parts))
            if together is not None:
                whole = self._kind.decode(together, self.outline)[0]
                samples = (*samples, Predicted("whole file", whole))
        return samples

    def _decoded(self, outputs: Tensor, batch: Batch) -> list[Prediction]:
        lengths = batch.get(lengths_of(self.outline.names[0]))
        if lengths is None or self.outline.signature.places != "step":
            return self._kind.decode(outputs, self.outline)
        rows = zip(outputs, lengths.tolist(), strict=True)
        return [self._kind.decode(row[None, :length], self.outline)[0] for row, length in rows]

    def generated(self, prompt: str, count: int, temperature: float, top_k: int, seed: int) -> str:
        """Generate the `count` bytes that follow a prompt, as text.

        Bytes that are not UTF-8 become U+FFFD, the replacement character.

        Raises:
            BadInput: this is not a language model, or an argument cannot be used.
        """
        # As in training, a NUL marks the start of a text.
        tokens = torch.tensor(list(b"\0" + prompt.encode("utf-8", "surrogateescape")))
        following = generate(
            self.model,
            self.outline.signature,
            tokens,
            count,
            temperature=temperature,
            top_k=top_k,
            generator=torch.Generator(self._device).manual_seed(seed),
        )
        return bytes(following.tolist()).decode("utf-8", "replace")


def load_predictor(
    run: RunDirectory, experiment: Experiment, device: torch.device, which: str
) -> tuple[Predictor, list[str]]:
    """Load the predictor of a run's checkpoint; also return notes on checkpoints passed over.

    Raises:
        CheckpointUnusable: it cannot be read, or belongs to another model.
    """
    checkpoint, notes = choose_checkpoint(run.checkpoints, which, run.command("predict"))
    predictor = Predictor(checkpoint, experiment, device)
    return predictor, [*notes, *prediction_notes(checkpoint.data.origin)]


def _outline_of_files(data: CheckpointData, experiment: Experiment) -> DatasetInfo:
    """Load the dataset to describe it, for an older checkpoint that has no description of it."""
    return load(experiment.dataset, data.preprocessing, experiment.problem).info
