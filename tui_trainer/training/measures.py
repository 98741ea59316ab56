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
    sums: Tensor | None = None
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
                part = _sums(model(inputs), targets, dataset, loss)
                sums = part if sums is None else sums + part
    finally:
        model.train(was_training)
    assert sums is not None, "a split is never empty: the data set was checked when it was built"
    return _metrics(sums.tolist(), dataset, split)


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
