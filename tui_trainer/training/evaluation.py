"""Evaluation of a run's checkpoint on a split, and predictions for new samples.

Layer: training. The preprocessing recorded in the checkpoint is used; it is not fitted again. For
predictions the training data is not read, and need not exist any more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import Experiment
from tui_trainer.data.base.batch import Split
from tui_trainer.data.base.random import preserved_generators
from tui_trainer.data.files.masks import write_mask
from tui_trainer.data.load import load
from tui_trainer.data.sources.new_samples import Unseen, read_unseen
from tui_trainer.data.splits.record import RowChanges
from tui_trainer.models.build import build_model
from tui_trainer.models.sampling import generate
from tui_trainer.problems.batch import Batch, lengths_of, to_device
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import Prediction, Value
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import BadInput
from tui_trainer.training.baseline_costs import choose_baselines
from tui_trainer.training.baselines import Baseline, baselines_of, compute
from tui_trainer.training.changes import check_model, evaluation_notes, prediction_notes
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import Checkpoint, choose_checkpoint
from tui_trainer.training.forward import Forward
from tui_trainer.training.metrics import measure
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.split_file import read_record
from tui_trainer.training.task import Task, build


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of one checkpoint on one split, with baselines."""

    step: int
    split: str
    metrics: dict[str, float]
    """Empty if only the baselines were computed."""
    baseline: dict[str, dict[str, float]]
    notes: tuple[str, ...]
    changes: RowChanges | None = None
    """How the rows differ from those of the run; None in runs of older versions."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "split": self.split,
            **self.metrics,
            "baseline": self.baseline,
            "notes": list(self.notes),
            "rows": None if self.changes is None else asdict(self.changes),
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
            f"{run.path.name} has no rows in the split {split}: dataset.{key} is 0; "
            "--split measures on another one"
        )
    notes += evaluation_notes(task, data.origin)
    metrics: dict[str, float] = {}
    baselines: list[Baseline] = []
    if only_baselines:
        baselines = baselines_of(task.dataset, chosen)
    else:
        metrics = _measured(task, chosen)
        # On the training split, nearest neighbours and their like would know the answers.
        if split != "train":
            # The length of the training, from whichever checkpoint the weights are.
            steps = read_manifests(run.checkpoints)[-1].step
            baselines, left_out = choose_baselines(task, chosen, steps, run)
            notes += left_out
    with task.feed.workers():
        computed = compute(baselines)
    step, changes = checkpoint.manifest.step, task.dataset.changes
    return Evaluation(step, split, metrics, computed, tuple(notes), changes)


def _measured(task: Task, split: Split) -> dict[str, float]:
    with task.feed.workers():
        found = measure(
            task.forward,
            split,
            task.dataset,
            task.criterion.measure,
            task.eval_batch_size,
            extras=task.extras,
        )
    assert found is not None, "without `interrupted` a measurement runs to its end"
    return found.metrics


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
