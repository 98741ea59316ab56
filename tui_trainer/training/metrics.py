"""Metrics over a whole split, from sums on the device that are read once at the end.

Layer: training. Regression metrics are in units of the target: outputs and targets are
standardised in memory and scaled back here. torchmetrics takes more than a second to import; only
`ExtraMetrics` imports it, so a run that asks for no extra metrics never loads it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.problems import PROBLEMS
from tui_trainer.data.base.batch import Split
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.batch import IGNORED, to_device
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.losses import Loss

if TYPE_CHECKING:
    from torchmetrics import Metric

Confusion = tuple[tuple[int, ...], ...]
"""Counts of samples by true class (rows) and predicted class (columns)."""

MOST_CLASSES = 100
"""With more classes no confusion matrix is counted, since ten thousand cells are unreadable."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The metrics of a model on a split."""

    metrics: dict[str, float]
    confusion: Confusion | None = None
    """None for regression, for more than `MOST_CLASSES` classes, or if it was not asked for."""


@dataclass(frozen=True, slots=True)
class SplitTotals:
    """Sums over all predictions for a split; each problem fills in those that apply to it."""

    count: float
    """The number of samples, or of tokens in language modelling."""
    loss: float
    correct: float = math.nan
    nats: float = math.nan
    """The cross entropy, whatever loss is configured."""
    absolute_error: float = math.nan
    squared_error: float = math.nan
    target: float = math.nan
    squared_target: float = math.nan
    unit: float = 1.0
    """Not a sum: the size of one standardised unit, in units of the target."""


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
"""The formulas of the metrics that are always computed for their problem."""


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
    """Measure the model on a split; None if `interrupted` returned true between two batches.

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
            # `interrupted` stays outside of inference mode: a pause in it may move the parameters.
            with torch.inference_mode():
                placed = to_device(batch, forward.device)
                outputs, carry = forward(placed, carry)
                # All sums stay on the device in one tensor until the last batch, because reading
                # one would wait for the device.
                mean = loss(outputs, placed)
                named = _batch_sums(outputs, placed["target"], dataset, mean)
                names, part = tuple(named), torch.stack(tuple(named.values()))
                sums = part if sums is None else sums + part
                if more is not None:
                    more.update(outputs, placed["target"])
                if confusion and is_counted:
                    seen = _batch_confusion(outputs, placed["target"], dataset.outputs)
                    counts = seen if counts is None else counts + seen
    finally:
        model.train(was_training)
    assert sums is not None, "a split is never empty: the data set was checked when it was built"
    totals = SplitTotals(**dict(zip(names, sums.tolist(), strict=True)), unit=dataset.target_std)
    metrics = {name: FORMULAS[name](totals) for name in PROBLEMS[dataset.task].metrics}
    if more is not None:
        metrics |= more.compute()
    return Measurement(metrics, None if counts is None else tuple(map(tuple, counts.tolist())))


def _batch_sums(
    outputs: Tensor, targets: Tensor, dataset: Dataset, loss: Tensor
) -> dict[str, Tensor]:
    """Return the sums of a batch under their `SplitTotals` names, float64 scalars on the device.

    `loss` is the mean loss of the batch.
    """
    if dataset.task == "regression":
        wanted = targets.double()
        error = outputs - wanted
        return {
            "count": torch.tensor(float(len(targets)), dtype=torch.float64, device=error.device),
            "loss": loss.double() * len(targets),
            "absolute_error": error.abs().sum(),
            "squared_error": error.square().sum(),
            "target": wanted.sum(),
            "squared_target": wanted.square().sum(),
        }
    known = targets != IGNORED
    count = known.sum().double()
    # In a batch of nothing but padding the count is 0, and the mean loss is undefined.
    total = torch.where(count > 0, loss.double() * count, 0.0)
    correct = ((outputs.argmax(dim=-1) == targets) & known).sum().double()
    sums = {"count": count, "loss": total, "correct": correct}
    if dataset.task == "language_modelling":
        # Bits per byte and perplexity come from the cross entropy, whatever loss is configured.
        nats = F.cross_entropy(
            outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        sums["nats"] = nats.double()
    return sums


def _batch_confusion(outputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Return the confusion matrix of a batch, of shape (classes, classes)."""
    cells = targets * classes + outputs.argmax(dim=1)
    return torch.bincount(cells, minlength=classes * classes).view(classes, classes)


_PER_CLASS = {"average": "none"}
TORCHMETRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "top3_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 3}),
    "top5_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 5}),
    "balanced_accuracy": ("MulticlassAccuracy", _PER_CLASS),
    "f1": ("MulticlassF1Score", _PER_CLASS),
    "precision": ("MulticlassPrecision", _PER_CLASS),
    "recall": ("MulticlassRecall", _PER_CLASS),
    "auroc": ("MulticlassAUROC", _PER_CLASS),
}
"""The extra metrics: a class of `torchmetrics.classification` and its arguments."""
MEANS = tuple(name for name, (_, options) in TORCHMETRICS.items() if options == _PER_CLASS)
"""The metrics that are means over the classes of a split."""


def why_undefined(name: str, dataset: Dataset) -> str:
    """Return why a metric is NaN on the validation split whatever the model does, or "".

    Also "" if that is known only when the samples of a plugin are read.
    """
    split, rows = dataset.val, counted(len(dataset.val), "row")
    if name == "auroc":
        there = [place for place, count in enumerate(dataset.val_counts) if count]
        if len(there) == 1:
            only = clean(dataset.classes[there[0]], 80)
            return f"it needs two classes, and the {rows} there have the class '{only}'"
    if name == "r2" and isinstance(split, TensorSplit):
        low, high = split.targets.aminmax()
        if low == high:
            return f"it needs different numbers to predict, and the {rows} there have the same"
    return ""


class ExtraMetrics:
    """Classification metrics, exact and the same for every batch size; draws no random numbers.

    A mean over the classes is one over those that have a sample in the split, whatever is
    predicted, so that every measurement of a split takes the same mean. AUROC is NaN if only one
    class has samples, and all are NaN if an output is not finite.

    Args:
        names: names of extra metrics, as in their specs.
        classes: the number of classes.
        device: the device of the outputs and targets.
    """

    def __init__(self, names: Sequence[str], classes: int, device: torch.device) -> None:
        self._metrics = {name: _metric(name, classes).to(device) for name in names}
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    @torch.inference_mode()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch of logits (B, K) and classes (B,)."""
        self._counts = self._counts + torch.bincount(targets, minlength=len(self._counts))
        self._finite = self._finite & outputs.isfinite().all()
        # float64 still tells apart very confident outputs. torchmetrics is given probabilities,
        # because it guesses from each batch whether it got logits, and small ones fool it.
        probabilities = outputs.double().softmax(dim=1)
        for metric in self._metrics.values():
            metric.update(probabilities, targets)

    @torch.inference_mode()
    def compute(self) -> dict[str, float]:
        """Return the metrics by name, after at least one batch."""
        if not self._finite.item():
            return dict.fromkeys(self._metrics, math.nan)
        there = self._counts > 0
        return {name: self._value(name, metric, there) for name, metric in self._metrics.items()}

    def _value(self, name: str, metric: Metric, there: Tensor) -> float:
        """Return a metric, as a mean over the classes that are in the mask `there` (K,)."""
        if name not in MEANS:
            return float(metric.compute().item())
        count = int(there.sum().item())
        if name == "auroc" and count == 1:
            return math.nan
        with warnings.catch_warnings():
            # Of a class without a sample, whose score is then left out.
            warnings.filterwarnings("ignore", message="No positive samples")
            scores: Tensor = metric.compute()
        # In the order in which torchmetrics computes its own means, so that no bit differs.
        part = scores[there]
        return float((part.mean() if name == "auroc" else (part / count).sum()).item())


def _metric(name: str, classes: int) -> Metric:
    """Make a metric of torchmetrics, without its checks, which wait for the device each batch."""
    from torchmetrics import classification

    kind, options = TORCHMETRICS[name]
    made: Metric = getattr(classification, kind)(classes, validate_args=False, **options)
    return made
