"""Metrics over a whole split: sums on the device, read once at the end.

Layer: training. Regression metrics are in units of the target: outputs and targets are
standardised in memory and scaled back here. torchmetrics takes more than a second to import, and is
imported by the first of the `ExtraMetrics` only: a run that asks for none never loads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.data.base.batch import IGNORED, Split
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.losses import Loss

if TYPE_CHECKING:
    from torchmetrics import Metric

Confusion = tuple[tuple[int, ...], ...]
"""Counts of samples by true class (rows) and predicted class (columns)."""

MOST_CLASSES = 100
"""A larger confusion matrix is not counted: nobody reads ten thousand cells."""
_TOP = {"top3_accuracy": 3, "top5_accuracy": 5}


def measure(
    forward: Forward,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
    extras: tuple[str, ...] = (),
) -> dict[str, float] | None:
    """Metrics of the model on a split, or None when `interrupted` between two batches.

    Draws no random numbers and leaves the model's mode as it was.
    """
    found = _measure(forward, split, dataset, loss, batch_size, interrupted, extras, 0)
    return None if found is None else found[0]


def measure_and_count(
    forward: Forward,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
    extras: tuple[str, ...] = (),
) -> tuple[dict[str, float], Confusion | None] | None:
    """As `measure`, with the confusion matrix: None for a regression and for many classes."""
    classes = dataset.outputs if dataset.task == "classification" else 0
    counted = classes if classes <= MOST_CLASSES else 0
    return _measure(forward, split, dataset, loss, batch_size, interrupted, extras, counted)


def _measure(
    forward: Forward,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool],
    extras: tuple[str, ...],
    classes: int,
) -> tuple[dict[str, float], Confusion | None] | None:
    sums: Tensor | None = None
    counts: Tensor | None = None
    more = ExtraMetrics(extras, dataset.outputs, forward.device) if extras else None
    model = forward.model
    carry: RecurrentState = None
    was_training = model.training
    model.eval()
    try:
        for batch in split.in_order(batch_size):
            if interrupted():
                return None
            # Not around `interrupted`: a pause in there may move the parameters.
            with torch.inference_mode():
                placed = batch.to(forward.device)
                outputs, carry = forward(placed, carry)
                part = _sums(outputs, placed.targets, dataset, loss)
                sums = part if sums is None else sums + part
                if more is not None:
                    more.update(outputs, placed.targets)
                if classes:
                    cells = placed.targets * classes + outputs.argmax(dim=1)
                    seen = torch.bincount(cells, minlength=classes * classes)
                    counts = seen if counts is None else counts + seen
    finally:
        model.train(was_training)
    assert sums is not None, "a split is never empty: the data set was checked when it was built"
    metrics = _metrics(sums.tolist(), dataset)
    if more is not None:
        metrics |= more.compute()
    if counts is None:
        return metrics, None
    return metrics, tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def _sums(outputs: Tensor, targets: Tensor, dataset: Dataset, loss: Loss) -> Tensor:
    """Sums over what is predicted in a batch, float64: how many, loss, then correct and of tokens
    the cross entropy, or of numbers |error|, error squared, target and target squared.
    """
    if dataset.task == "regression":
        total = loss(outputs, targets).double() * len(targets)
        wanted = targets.double()
        error = outputs - wanted
        count = torch.tensor(float(len(targets)), dtype=torch.float64, device=total.device)
        sums = [count, total, error.abs().sum(), error.square().sum()]
        return torch.stack([*sums, wanted.sum(), wanted.square().sum()])
    known = targets != IGNORED
    count = known.sum().double()
    # A batch of nothing but padding has no mean.
    total = torch.where(count > 0, loss(outputs, targets).double() * count, 0.0)
    correct = ((outputs.argmax(dim=-1) == targets) & known).sum().double()
    if dataset.task != "language_modelling":
        return torch.stack([count, total, correct])
    # Bits are those of the cross entropy, whatever the loss is.
    nats = F.cross_entropy(
        outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return torch.stack([count, total, correct, nats.double()])


def _metrics(sums: list[float], dataset: Dataset) -> dict[str, float]:
    count = sums[0]
    metrics = {"loss": sums[1] / count}
    if dataset.task != "regression":
        metrics["accuracy"] = sums[2] / count
        if dataset.task == "language_modelling":
            nats = sums[3] / count
            metrics["perplexity"] = _exp(nats)
            metrics["bits_per_byte"] = nats / math.log(2)
        return metrics
    scale = dataset.target_std
    variation = sums[5] - sums[4] * sums[4] / count
    metrics["mae"] = sums[2] / count * scale
    metrics["rmse"] = math.sqrt(sums[3] / count) * scale
    metrics["r2"] = 1 - sums[3] / variation if variation > 0 else math.nan
    return metrics


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


class ExtraMetrics:
    """Metrics of classes, exact and the same for every batch size; draws no random numbers.

    A mean over the classes is NaN when a class has no sample in the split: without it the mean
    would be of something else. All are NaN when an output is not finite.

    Args:
        names: extra metrics of the specs.
        classes: how many there are.
        device: where outputs and targets will be.
    """

    def __init__(self, names: Sequence[str], classes: int, device: torch.device) -> None:
        self._metrics = {name: _metric(name, classes).to(device) for name in names}
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    @torch.inference_mode()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits (B, K) and classes (B,)."""
        self._counts = self._counts + torch.bincount(targets, minlength=len(self._counts))
        self._finite = self._finite & outputs.isfinite().all()
        # In float64 certain outputs are still apart. torchmetrics would look at each batch to
        # find out whether it is given logits, and one of small logits would pass for no logits.
        probabilities = outputs.double().softmax(dim=1)
        for metric in self._metrics.values():
            metric.update(probabilities, targets)

    @torch.inference_mode()
    def compute(self) -> dict[str, float]:
        """The metrics by name, after at least one batch."""
        if not self._finite.item():
            return dict.fromkeys(self._metrics, math.nan)
        complete = bool((self._counts > 0).all().item())
        return {
            name: float(metric.compute().item()) if complete or name in _TOP else math.nan
            for name, metric in self._metrics.items()
        }


def _metric(name: str, classes: int) -> Metric:
    """A metric of torchmetrics; its checks of every batch would wait for the device."""
    from torchmetrics import classification

    if name in _TOP:
        return classification.MulticlassAccuracy(
            classes, top_k=_TOP[name], average="micro", validate_args=False
        )
    kinds: dict[str, type[Metric]] = {
        "balanced_accuracy": classification.MulticlassAccuracy,
        "f1": classification.MulticlassF1Score,
        "precision": classification.MulticlassPrecision,
        "recall": classification.MulticlassRecall,
        "auroc": classification.MulticlassAUROC,
    }
    return kinds[name](num_classes=classes, average="macro", validate_args=False)
