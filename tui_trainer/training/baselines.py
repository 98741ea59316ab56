"""Baselines: the metrics of simple methods on the same data, to compare the model with.

Layer: training. Like the model, they are fitted to the training split only, but without
augmentation. A baseline that would take longer than a training is left out, and `left_out` says so.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_trainer.data.base.batch import Split
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.signature import Kind
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.training.regressions import fit_logistic

MOST_DISTANCES = 2_000_000_000
"""The most pairs times features for nearest neighbours; more would take longer than a training."""
MOST_SLOPES = 50_000_000
"""The most samples times features times classes for a logistic regression."""
MOST_SQUARES = 20_000_000_000
"""The most samples times features squared for a linear regression."""
MOST_BYTES = 64_000_000
"""The most bytes to compress."""

Metrics = dict[str, float]

_BYTES = 256


@dataclass(frozen=True, slots=True)
class _Baseline:
    """A simple method of prediction, with its cost and the most that is affordable."""

    name: str
    compute: Callable[[], Metrics]
    cost: int = 0
    most: int = 0
    unit: str = ""

    @property
    def is_affordable(self) -> bool:
        return self.cost <= self.most


@torch.inference_mode()
def baselines(dataset: Dataset, split: Split) -> dict[str, Metrics]:
    """Return the metrics of each baseline on a split, by the name of the baseline.

    Classification: `majority_class`; for features and images `nearest_neighbour` (1-NN, Euclidean);
    for sequences `nearest_neighbour` and `logistic_regression` on the mean and the standard
    deviation of each channel; for texts `bag_of_bytes` (logistic regression on byte frequencies).
    Regression: `mean`, and `linear_regression` (least squares with a bias). Language modelling:
    `unigram` (the byte frequencies of the training texts) and `gzip` (-9, each text by itself).
    """
    return {one.name: one.compute() for one in _all(dataset, split) if one.is_affordable}


def left_out(dataset: Dataset, split: Split) -> tuple[str, ...]:
    """Return a note for each baseline that is left out because it would take too long."""
    return tuple(
        f"baseline {one.name} left out: {one.cost:,} {one.unit}, more than {one.most:,}"
        for one in _all(dataset, split)
        if not one.is_affordable
    )


def _all(dataset: Dataset, split: Split) -> list[_Baseline]:
    train = dataset.train
    if isinstance(train, TextSplit) and isinstance(split, TextSplit):
        return _language(train, split)
    if not (isinstance(train, TensorSplit) and isinstance(split, TensorSplit)):
        return []
    if dataset.task == "classification":
        return _classification(dataset, train, split)
    return _regression(dataset, train, split)


def _language(train: TextSplit, split: TextSplit) -> list[_Baseline]:
    size = split.nbytes
    return [
        _Baseline("unigram", lambda: _unigram(train, split)),
        _Baseline("gzip", lambda: _gzip(split), size, MOST_BYTES, "bytes"),
    ]


def _unigram(train: TextSplit, split: TextSplit) -> Metrics:
    """Predict each byte with its frequency in training, where one is added to each byte's count.

    The NUL bytes between texts are neither predicted nor counted.
    """
    known, asked = (
        torch.bincount(part.data, minlength=_BYTES)[1:].double() for part in (train, split)
    )
    shares = (known + 1) / (known + 1).sum()
    return {"bits_per_byte": (-(asked * shares.log2()).sum() / asked.sum()).item()}


def _gzip(split: TextSplit) -> Metrics:
    packed = plain = 0
    for text in split.texts():
        packed += len(gzip.compress(text, 9, mtime=0))
        plain += len(text)
    return {"bits_per_byte": 8 * packed / plain}


def _classification(dataset: Dataset, train: TensorSplit, split: TensorSplit) -> list[_Baseline]:
    kind = dataset.signature.kind
    features = _sizes(dataset)
    slopes = len(train) * features * dataset.outputs
    nearest = _Baseline(
        "nearest_neighbour",
        lambda: _accuracy(split, train.targets[_nearest(*_both(kind, train, split))]),
        len(split) * len(train) * features,
        MOST_DISTANCES,
        "pairs times features",
    )
    logistic = _Baseline(
        "bag_of_bytes" if kind == "tokens" else "logistic_regression",
        lambda: _accuracy(split, _logistic(kind, train, split, dataset.outputs)),
        slopes,
        MOST_SLOPES,
        "samples times features times classes",
    )
    found = [_Baseline("majority_class", lambda: _majority(train, split, dataset.outputs))]
    if kind != "tokens":
        found.append(nearest)
    if kind in ("tokens", "sequence"):
        found.append(logistic)
    return found


def _majority(train: TensorSplit, split: TensorSplit, classes: int) -> Metrics:
    counts = torch.bincount(train.targets, minlength=classes)
    return _accuracy(split, counts.argmax())


def _accuracy(split: TensorSplit, guesses: Tensor) -> Metrics:
    return {"accuracy": (guesses.to(split.targets.device) == split.targets).double().mean().item()}


def _logistic(kind: Kind, train: TensorSplit, split: TensorSplit, classes: int) -> Tensor:
    known, asked = _both(kind, train, split)
    return fit_logistic(known, train.targets, classes).predict(asked)


def _nearest(known: Tensor, asked: Tensor, chunk: int = 1024) -> Tensor:
    """Return the index of the nearest row of `known` (N, D) for each row of `asked` (M, D).

    The result is int64 (M,).
    """
    return torch.cat([torch.cdist(part, known).argmin(dim=1) for part in torch.split(asked, chunk)])


def _both(kind: Kind, train: TensorSplit, split: TensorSplit) -> tuple[Tensor, Tensor]:
    return _features(kind, train), _features(kind, split)


def _sizes(dataset: Dataset) -> int:
    """Return the number of features per sample that `_features` returns."""
    kind, shape = dataset.signature.kind, dataset.input_shape
    if kind == "tokens":
        return _BYTES
    return 2 * shape[-1] if kind == "sequence" else math.prod(shape)


def _features(kind: Kind, split: TensorSplit) -> Tensor:
    """Return features (N, D), the same number for each sample whatever its length."""
    inputs = split.inputs
    if split.lengths is None:
        return inputs.flatten(1)
    lengths = split.lengths.to(inputs.device)
    if kind == "tokens":
        return _shares(inputs, lengths)
    # Sequences are padded with zeros, which do not change the sum for the mean; for the deviation
    # the padding must be masked.
    inside = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
    mean = inputs.sum(dim=1) / lengths[:, None]
    apart = (inputs - mean[:, None]) * inside[..., None]
    return torch.cat([mean, (apart.square().sum(dim=1) / lengths[:, None]).sqrt()], dim=1)


def _shares(tokens: Tensor, lengths: Tensor, chunk: int = 1024) -> Tensor:
    """Return the share of each byte in each text (N, T), as (N, 256)."""
    parts = []
    for rows, sizes in zip(torch.split(tokens, chunk), torch.split(lengths, chunk), strict=True):
        counts = torch.zeros(len(rows), _BYTES, device=rows.device)
        inside = torch.arange(rows.shape[1], device=rows.device) < sizes[:, None]
        counts.scatter_add_(1, rows.long(), inside.float())
        parts.append(counts / sizes[:, None])
    return torch.cat(parts)


def _regression(dataset: Dataset, train: TensorSplit, split: TensorSplit) -> list[_Baseline]:
    kind = dataset.signature.kind
    mean = train.targets.mean(dim=0, keepdim=True)
    return [
        _Baseline("mean", lambda: _errors(mean.expand_as(split.targets), split, dataset)),
        _Baseline(
            "linear_regression",
            lambda: _errors(_linear(kind, train, split), split, dataset),
            len(train) * _sizes(dataset) ** 2,
            MOST_SQUARES,
            "samples times features squared",
        ),
    ]


def _linear(kind: Kind, train: TensorSplit, split: TensorSplit) -> Tensor:
    known, asked = _both(kind, train, split)
    wanted = train.targets.double().cpu()
    fit: Tensor = torch.linalg.lstsq(_with_bias(known).cpu(), wanted, driver="gelsd").solution
    return (_with_bias(asked).cpu() @ fit).to(split.targets.device)


def _with_bias(features: Tensor) -> Tensor:
    wide = features.double()
    return torch.cat([wide, torch.ones(len(wide), 1, dtype=wide.dtype, device=wide.device)], dim=1)


def _errors(outputs: Tensor, split: TensorSplit, dataset: Dataset) -> Metrics:
    """Return mae, rmse and r2 of outputs (N, 1); the errors are in units of the target."""
    error = outputs.double() - split.targets.double()
    variation = split.targets.double().var(correction=0).item()
    squared = error.square().mean().item()
    return {
        "mae": error.abs().mean().item() * dataset.target_std,
        "rmse": math.sqrt(squared) * dataset.target_std,
        "r2": 1 - squared / variation if variation > 0 else math.nan,
    }
