"""Metrics over a whole split: sums on the device, read once at the end.

Layer: training. Regression metrics are in units of the target: outputs and targets are
standardised in memory and scaled back here. torchmetrics takes more than a second to import, and is
imported by the first of the `ExtraMetrics` only: a run that asks for none never loads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.sections.metrics import metrics_of
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


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of a model on a split."""

    metrics: dict[str, float]
    confusion: Confusion | None = None
    """None unless it was asked for, for a regression, and for many classes."""


@dataclass(frozen=True, slots=True)
class SplitTotals:
    """Sums over all that was predicted in a split; a problem fills those that it has."""

    count: float
    """Samples; of text, tokens."""
    loss: float
    correct: float = math.nan
    nats: float = math.nan
    """The cross entropy, whatever the loss is."""
    absolute_error: float = math.nan
    squared_error: float = math.nan
    target: float = math.nan
    squared_target: float = math.nan
    unit: float = 1.0
    """No sum: a difference of 1 between standardised targets, in units of the target."""


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _r2(totals: SplitTotals) -> float:
    variation = totals.squared_target - totals.target * totals.target / totals.count
    return 1 - totals.squared_error / variation if variation > 0 else math.nan


FORMULAS: dict[str, Callable[[SplitTotals], float]] = {
    "loss": lambda totals: totals.loss / totals.count,
    "accuracy": lambda totals: totals.correct / totals.count,
    "perplexity": lambda totals: _exp(totals.nats / totals.count),
    "bits_per_byte": lambda totals: totals.nats / totals.count / math.log(2),
    "mae": lambda totals: totals.absolute_error / totals.count * totals.unit,
    "rmse": lambda totals: math.sqrt(totals.squared_error / totals.count) * totals.unit,
    "r2": _r2,
}
"""The metrics that are computed of every split of their problem."""


def measure(
    forward: Forward,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
    extras: tuple[str, ...] = (),
    *,
    confusion: bool = False,
) -> Measurement | None:
    """Measure the model on a split; None when `interrupted` between two batches.

    Draws no random numbers and leaves the model's mode as it was.
    """
    names: tuple[str, ...] = ()
    sums: Tensor | None = None
    counts: Tensor | None = None
    more = ExtraMetrics(extras, dataset.outputs, forward.device) if extras else None
    is_counted = dataset.task == "classification" and dataset.outputs <= MOST_CLASSES
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
                # All sums in one tensor, which is read after the last batch: reading waits.
                named = _batch_sums(outputs, placed.targets, dataset, loss)
                names, part = tuple(named), torch.stack(tuple(named.values()))
                sums = part if sums is None else sums + part
                if more is not None:
                    more.update(outputs, placed.targets)
                if confusion and is_counted:
                    seen = _batch_confusion(outputs, placed.targets, dataset.outputs)
                    counts = seen if counts is None else counts + seen
    finally:
        model.train(was_training)
    assert sums is not None, "a split is never empty: the data set was checked when it was built"
    totals = SplitTotals(**dict(zip(names, sums.tolist(), strict=True)), unit=dataset.target_std)
    metrics = {name: FORMULAS[name](totals) for name in metrics_of(dataset.task)}
    if more is not None:
        metrics |= more.compute()
    return Measurement(metrics, None if counts is None else tuple(map(tuple, counts.tolist())))


def _batch_sums(
    outputs: Tensor, targets: Tensor, dataset: Dataset, loss: Loss
) -> dict[str, Tensor]:
    """The sums of a batch by the names of `SplitTotals`, float64 scalars on the device."""
    if dataset.task == "regression":
        wanted = targets.double()
        error = outputs - wanted
        return {
            "count": torch.tensor(float(len(targets)), dtype=torch.float64, device=error.device),
            "loss": loss(outputs, targets).double() * len(targets),
            "absolute_error": error.abs().sum(),
            "squared_error": error.square().sum(),
            "target": wanted.sum(),
            "squared_target": wanted.square().sum(),
        }
    known = targets != IGNORED
    count = known.sum().double()
    # A batch of nothing but padding has no mean.
    total = torch.where(count > 0, loss(outputs, targets).double() * count, 0.0)
    correct = ((outputs.argmax(dim=-1) == targets) & known).sum().double()
    sums = {"count": count, "loss": total, "correct": correct}
    if dataset.task == "language_modelling":
        # Bits are those of the cross entropy, whatever the loss is.
        nats = F.cross_entropy(
            outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        sums["nats"] = nats.double()
    return sums


def _batch_confusion(outputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    """The confusion matrix of a batch, of shape (classes, classes)."""
    cells = targets * classes + outputs.argmax(dim=1)
    return torch.bincount(cells, minlength=classes * classes).view(classes, classes)


_MACRO = {"average": "macro"}
TORCHMETRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "top3_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 3}),
    "top5_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 5}),
    "balanced_accuracy": ("MulticlassAccuracy", _MACRO),
    "f1": ("MulticlassF1Score", _MACRO),
    "precision": ("MulticlassPrecision", _MACRO),
    "recall": ("MulticlassRecall", _MACRO),
    "auroc": ("MulticlassAUROC", _MACRO),
}
"""The extra metrics: a class of `torchmetrics.classification`, and what it is made with."""
_MEANS = {name for name, (_, options) in TORCHMETRICS.items() if options == _MACRO}
"""Means over the classes, which a class without a sample makes NaN."""


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
            name: float(metric.compute().item()) if complete or name not in _MEANS else math.nan
            for name, metric in self._metrics.items()
        }


def _metric(name: str, classes: int) -> Metric:
    """A metric of torchmetrics; its checks of every batch would wait for the device."""
    from torchmetrics import classification

    kind, options = TORCHMETRICS[name]
    made: Metric = getattr(classification, kind)(classes, validate_args=False, **options)
    return made
