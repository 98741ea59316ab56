"""Metrics over a whole split: sums on the device, read once at the end.

Layer: training. Regression metrics are in units of the target: outputs and targets are
standardised in memory and scaled back here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.data.base.batch import IGNORED, Split
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.losses import Loss
from tui_trainer.training.metrics import ExtraMetrics

Confusion = tuple[tuple[int, ...], ...]
"""Counts of samples by true class (rows) and predicted class (columns)."""

MOST_CLASSES = 100
"""A larger confusion matrix is not counted: nobody reads ten thousand cells."""


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
