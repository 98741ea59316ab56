"""Metrics over a whole split: sums on the device, read once at the end.

Layer: training. Regression metrics are in units of the target: outputs and targets are
standardised in memory and scaled back here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tui_trainer.data.dataset import Dataset, Split
from tui_trainer.training.losses import Loss

Confusion = tuple[tuple[int, ...], ...]
"""Counts of samples by true class (rows) and predicted class (columns)."""

MOST_CLASSES = 100
"""A larger confusion matrix is not counted: nobody reads ten thousand cells."""


def measure(
    model: nn.Module,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Metrics of the model on a split, or None when `interrupted` between two batches.

    Draws no random numbers and leaves the model's mode as it was.
    """
    found = _measure(model, split, dataset, loss, batch_size, interrupted, 0)
    return None if found is None else found[0]


def measure_and_count(
    model: nn.Module,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[dict[str, float], Confusion | None] | None:
    """As `measure`, with the confusion matrix: None for a regression and for many classes."""
    classes = dataset.outputs if dataset.task == "classification" else 0
    counted = classes if classes <= MOST_CLASSES else 0
    return _measure(model, split, dataset, loss, batch_size, interrupted, counted)


def _measure(
    model: nn.Module,
    split: Split,
    dataset: Dataset,
    loss: Loss,
    batch_size: int,
    interrupted: Callable[[], bool],
    classes: int,
) -> tuple[dict[str, float], Confusion | None] | None:
    sums: Tensor | None = None
    counts: Tensor | None = None
    was_training = model.training
    model.eval()
    try:
        for first in range(0, len(split), batch_size):
            if interrupted():
                return None
            inputs = split.inputs[first : first + batch_size]
            targets = split.targets[first : first + batch_size]
            # Not around `interrupted`: a pause in there may move the parameters.
            with torch.inference_mode():
                outputs = model(inputs)
                part = _sums(outputs, targets, dataset, loss)
                sums = part if sums is None else sums + part
                if classes:
                    cells = targets * classes + outputs.argmax(dim=1)
                    seen = torch.bincount(cells, minlength=classes * classes)
                    counts = seen if counts is None else counts + seen
    finally:
        model.train(was_training)
    assert sums is not None, "a split is never empty: the data set was checked when it was built"
    metrics = _metrics(sums.tolist(), dataset, split)
    if counts is None:
        return metrics, None
    return metrics, tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def _sums(outputs: Tensor, targets: Tensor, dataset: Dataset, loss: Loss) -> Tensor:
    """Sums over a batch, float64: loss, then correct, or |error| and error squared."""
    count = len(targets)
    total = loss(outputs, targets).double() * count
    if dataset.task == "classification":
        correct = (outputs.argmax(dim=1) == targets).sum().double()
        return torch.stack([total, correct])
    error = (outputs - targets).double()
    return torch.stack([total, error.abs().sum(), error.square().sum()])


def _metrics(sums: list[float], dataset: Dataset, split: Split) -> dict[str, float]:
    count = len(split)
    metrics = {"loss": sums[0] / count}
    if dataset.task == "classification":
        metrics["accuracy"] = sums[1] / count
        return metrics
    scale = dataset.target_std
    variation = split.targets.double().var(correction=0).item() * count
    metrics["mae"] = sums[1] / count * scale
    metrics["rmse"] = math.sqrt(sums[2] / count) * scale
    metrics["r2"] = 1 - sums[2] / variation if variation > 0 else math.nan
    return metrics
