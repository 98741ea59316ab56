"""Honest baselines: what no training would give, from the very tensors the model was trained on.

Layer: training. They see the training split only, as the model does, without augmentation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tui_trainer.data.batch import Split
from tui_trainer.data.dataset import Dataset
from tui_trainer.data.tensors import TensorSplit

MOST_DISTANCES = 2_000_000_000
"""More pairs times features than this are not compared: it would take longer than a training."""


@torch.inference_mode()
def baselines(dataset: Dataset, split: Split) -> dict[str, dict[str, float]]:
    """Metrics of each baseline on a split, by its name.

    Classification: `majority_class`, and `nearest_neighbour` (1-NN, Euclidean) where the data is
    small enough. Regression: `mean`, and `linear_regression` (least squares with a bias).
    """
    train = dataset.train
    if not (isinstance(train, TensorSplit) and isinstance(split, TensorSplit)):
        return {}
    if dataset.task == "classification":
        return _classification(dataset, train, split)
    return _regression(dataset, train, split)


def _classification(
    dataset: Dataset, train: TensorSplit, split: TensorSplit
) -> dict[str, dict[str, float]]:
    counts = torch.bincount(train.targets, minlength=dataset.outputs)
    majority = (split.targets == counts.argmax()).double().mean().item()
    found = {"majority_class": {"accuracy": majority}}
    known = train.inputs.flatten(1)
    if len(split) * known.numel() <= MOST_DISTANCES:
        guesses = train.targets[_nearest(known, split.inputs.flatten(1))]
        right = (guesses == split.targets).double().mean().item()
        found["nearest_neighbour"] = {"accuracy": right}
    return found


def _nearest(known: Tensor, asked: Tensor, chunk: int = 1024) -> Tensor:
    """Index of the nearest row of `known` (N, D) for each row of `asked` (M, D): int64 (M,)."""
    return torch.cat([torch.cdist(part, known).argmin(dim=1) for part in torch.split(asked, chunk)])


def _regression(
    dataset: Dataset, train: TensorSplit, split: TensorSplit
) -> dict[str, dict[str, float]]:
    mean = train.targets.mean(dim=0, keepdim=True).expand_as(split.targets)
    fit = torch.linalg.lstsq(
        _with_bias(train.inputs).cpu(), train.targets.double().cpu(), driver="gelsd"
    ).solution
    linear = (_with_bias(split.inputs).cpu() @ fit).to(split.targets.device)
    return {
        "mean": _errors(mean, split, dataset),
        "linear_regression": _errors(linear, split, dataset),
    }


def _with_bias(inputs: Tensor) -> Tensor:
    flat = inputs.flatten(1).double()
    return torch.cat([flat, torch.ones(len(flat), 1, dtype=flat.dtype, device=flat.device)], dim=1)


def _errors(outputs: Tensor, split: TensorSplit, dataset: Dataset) -> dict[str, float]:
    """mae, rmse and r2 of outputs (N, 1), in units of the target."""
    error = outputs.double() - split.targets.double()
    variation = split.targets.double().var(correction=0).item()
    squared = error.square().mean().item()
    return {
        "mae": error.abs().mean().item() * dataset.target_std,
        "rmse": math.sqrt(squared) * dataset.target_std,
        "r2": 1 - squared / variation if variation > 0 else math.nan,
    }
