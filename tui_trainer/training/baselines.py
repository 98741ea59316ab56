"""Baselines: the metrics of simple methods on the same data, to compare the model with.

Layer: training. Like the model, they are fitted to the training split only, but without
augmentation. Each says what it costs, by its sizes alone: no clock decides what is computed.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.read_rows import ReadSplit
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.sources.forecast import last_values
from tui_trainer.problems.place_totals import SCORES, ClassCounts, count_classes
from tui_trainer.problems.problem import f1_of
from tui_trainer.problems.signature import NUMBERS, Signature
from tui_trainer.training.regressions import (
    Tick,
    fit_linear,
    fit_logistic,
    linear_cost,
    logistic_cost,
    no_tick,
    with_bias,
)

GZIP_OPERATIONS = 500
"""About how many operations compressing a byte takes."""
COUNT_OPERATIONS = 20
"""About how many operations counting a token of a file takes."""
READ_OPERATIONS = 100
"""About how many operations reading a number of a sample takes, as in decoding a picture."""
_READ_AT_ONCE = 64
_GZIP_PART = 1 << 22
_COUNTED_AT_ONCE = 1 << 24
_GZIP_FORMAT = 31
"""The argument of zlib for a window of 32 kB with the header and the checksum of gzip."""
_AT_ONCE = 8_000_000_000
"""The most operations between two ticks: some tenths of a second."""
_MOST_BYTES = 1 << 30
"""The most bytes of samples that are copied into memory for a baseline."""
_MOST_DISTANCES = 1 << 26
"""The most distances that are in memory at the same time."""

Metrics = dict[str, float]

_BYTES = 256
_MOST_TOKENS = 1024
"""Rarer tokens are counted together, or the features would not fit into memory."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A simple method of prediction, not computed yet."""

    name: str
    compute: Callable[[Tick], Metrics]
    """Returns its metrics on the split; whatever the tick raises ends the computation."""
    cost: int = 0
    """About how many operations it takes; 0 if that is next to nothing."""
    unit: str = "samples"
    """What its ticks count."""


@torch.inference_mode()
def compute(baselines: Sequence[Baseline]) -> dict[str, Metrics]:
    """Return the metrics of baselines by name."""
    return {one.name: one.compute(no_tick) for one in baselines}


def baselines_of(dataset: Dataset, split: Split) -> list[Baseline]:
    """Return the baselines for a split; for samples that are not in memory only the first one, and
    of those that a plugin reads only that of tokens and pixels; none if they come in an order of
    their own.

    Classification: `majority_class`; for features and images `nearest_neighbour` (1-NN, Euclidean);
    for sequences `nearest_neighbour` and `logistic_regression` on the mean and the standard
    deviation of each channel; for texts `bag_of_bytes` or `bag_of_tokens` (logistic regression on
    their frequencies), or with numbers beside them `logistic_regression` on both.
    Multilabel: `label_rates` (the labels whose share of the training samples is above the
    threshold), and `nearest_neighbour`. Regression: `mean`, and `linear_regression` (least squares
    with a bias); for forecasts also `last_value`, the naive method (Hyndman and Athanasopoulos,
    "Forecasting: Principles and Practice", 3rd edition, 5.2). Language modelling: `unigram` (the
    token frequencies of the training texts) and `gzip` (-9, each text by itself). Token
    classification and segmentation: `majority_class`, the most frequent one of all steps or pixels.
    """
    train = dataset.train
    if isinstance(train, TextSplit) and isinstance(split, TextSplit):
        return _language(train, split, dataset.signature.vocabulary)
    if dataset.base in ("language_modelling", "none"):
        return []
    if not PROBLEMS[dataset.problem].is_measured_as_its_base:
        return []
    if dataset.signature.places != "one":
        return _places(dataset, train, split)
    if isinstance(train, ReadSplit) and isinstance(split, ReadSplit):
        return [_by_targets(dataset, train, split)]
    if not (isinstance(train, TensorSplit) and isinstance(split, TensorSplit)):
        return []
    if dataset.base == "classification":
        return _classification(dataset, train, split)
    if dataset.base == "multilabel":
        return _multilabel(dataset, train, split)
    return _regression(dataset, train, split)


class _Targets(Protocol):
    """A split whose targets are in memory."""

    @property
    def targets(self) -> Tensor: ...


def _by_targets(dataset: Dataset, train: _Targets, split: _Targets) -> Baseline:
    """Return the baseline that knows no inputs."""
    if dataset.problem == "classification":
        return Baseline("majority_class", lambda tick: _majority(train, split, dataset.outputs))
    if dataset.problem == "multilabel":
        frequent = (train.targets.mean(dim=0, keepdim=True) > dataset.info.threshold).float()
        return Baseline(
            "label_rates", lambda tick: _labels(split, frequent.expand_as(split.targets))
        )
    mean = train.targets.mean(dim=0, keepdim=True)
    return Baseline("mean", lambda tick: _errors(mean.expand_as(split.targets), split, dataset))


def _language(train: TextSplit, split: TextSplit, vocabulary: int) -> list[Baseline]:
    gzip = Baseline(
        "gzip", lambda tick: _gzip(split, tick), split.nbytes * GZIP_OPERATIONS, unit="bytes"
    )
    unigram = Baseline(
        "unigram",
        lambda tick: _unigram(train, split, vocabulary, tick),
        0 if train.file is None else COUNT_OPERATIONS * train.size,
        unit="tokens",
    )
    return [unigram, *([gzip] if split.has_texts else [])]


def _unigram(train: TextSplit, split: TextSplit, vocabulary: int, tick: Tick) -> Metrics:
    """Predict each token with its frequency in training, where one is added to each one's count.

    The starts of the texts are neither predicted nor counted.
    """
    known, asked = (_count_tokens(part, vocabulary, tick) for part in (train, split))
    if train.file is None:
        start = int(train.data[0])
        known, asked = (torch.cat([one[:start], one[start + 1 :]]) for one in (known, asked))
    shares = (known + 1) / (known + 1).sum()
    bits = (-(asked * shares.log2()).sum() / asked.sum()).item()
    if math.isnan(split.bytes_per_token):
        return {"loss": bits * math.log(2)}
    return {"bits_per_byte": bits / split.bytes_per_token}


def _count_tokens(split: TextSplit, vocabulary: int, tick: Tick) -> Tensor:
    """Return how often each token occurs, (vocabulary,) float64, without copying all of them."""
    counts = torch.zeros(vocabulary, dtype=torch.float64, device=split.data.device)
    for done in range(0, split.size, _COUNTED_AT_ONCE):
        tick(done, split.size)
        part = split.data[done : min(done + _COUNTED_AT_ONCE, split.size)].long()
        counts += torch.bincount(part, minlength=vocabulary)
    return counts


def _gzip(split: TextSplit, tick: Tick) -> Metrics:
    packed = plain = 0
    for text in split.texts():
        pressing = zlib.compressobj(9, wbits=_GZIP_FORMAT)
        # As many bytes as if the whole text was compressed at once.
        for part in range(0, len(text), _GZIP_PART):
            tick(plain, split.nbytes)
            packed += len(pressing.compress(text[part : part + _GZIP_PART]))
            plain += len(text[part : part + _GZIP_PART])
        packed += len(pressing.flush())
    return {"bits_per_byte": 8 * packed / plain}


def _classification(dataset: Dataset, train: TensorSplit, split: TensorSplit) -> list[Baseline]:
    kind = dataset.signature.kind
    features = _sizes(dataset)
    nearest = _nearest_neighbour(dataset, train, split, _accuracy)
    name = "bag_of_bytes" if dataset.signature.vocabulary == _BYTES else "bag_of_tokens"
    logistic = Baseline(
        name if kind == "tokens" and not dataset.signature.numbers else "logistic_regression",
        lambda tick: _accuracy(split, _logistic(dataset, train, split, tick)),
        logistic_cost(len(train), features, dataset.outputs),
    )
    found = [_by_targets(dataset, train, split)]
    if kind != "tokens" and _fits(dataset, train):
        found.append(nearest)
    if kind in ("tokens", "sequence") and _fits(dataset, train):
        found.append(logistic)
    return found


def _fits(dataset: Dataset, train: TensorSplit) -> bool:
    """Whether all training samples can be in memory as float32; mapped ones may be too large."""
    return train.places is None or 4 * len(train) * _sizes(dataset) < _MOST_BYTES


def _nearest_neighbour(
    dataset: Dataset,
    train: TensorSplit,
    split: TensorSplit,
    measured: Callable[[TensorSplit, Tensor], Metrics],
) -> Baseline:
    return Baseline(
        "nearest_neighbour",
        lambda tick: measured(
            split, train.targets[_nearest(*_both(dataset, train, split, tick), tick)]
        ),
        2 * len(split) * len(train) * _sizes(dataset),
    )


def _multilabel(dataset: Dataset, train: TensorSplit, split: TensorSplit) -> list[Baseline]:
    rates = _by_targets(dataset, train, split)
    if dataset.signature.kind == "tokens" or not _fits(dataset, train):
        return [rates]
    return [rates, _nearest_neighbour(dataset, train, split, _labels)]


def _labels(split: _Targets, guesses: Tensor) -> Metrics:
    wanted = split.targets
    guesses = guesses.to(wanted.device)
    sums = (wanted.sum(), guesses.sum(), (wanted * guesses).sum())
    return {
        "f1": f1_of(*(number.item() for number in sums)),
        "exact_match": (guesses == wanted).all(dim=1).double().mean().item(),
    }


def _majority(train: _Targets, split: _Targets, classes: int) -> Metrics:
    counts = torch.bincount(train.targets, minlength=classes)
    return _accuracy(split, counts.argmax())


def _places(dataset: Dataset, train: Split, split: Split) -> list[Baseline]:
    read = [part for part in (train, split) if not isinstance(part, TensorSplit)]
    if not all(isinstance(part, MapSplit | ReadSplit) for part in read):
        return []
    cost = sum(map(len, read)) * math.prod(dataset.input_shape) * READ_OPERATIONS
    return [
        Baseline(
            "majority_class", lambda tick: _majority_at_places(dataset, train, split, tick), cost
        )
    ]


def _majority_at_places(dataset: Dataset, train: Split, split: Split, tick: Tick) -> Metrics:
    """Predict the most frequent class at every step or pixel."""
    classes = dataset.outputs
    guess = int(_count_places(train, classes, tick).argmax())
    true = _count_places(split, classes, tick).tolist()
    predicted = [sum(true) if index == guess else 0 for index in range(classes)]
    right = [count if index == guess else 0 for index, count in enumerate(true)]
    counts = ClassCounts(true, predicted, right)
    names = PROBLEMS[dataset.base].metrics
    return {name: SCORES[name](counts) for name in names if name != "loss"}


def _count_places(split: Split, classes: int, tick: Tick) -> Tensor:
    """Return the number of places of each class, reading the samples if they are not in memory."""
    if isinstance(split, TensorSplit) and split.ignored is None:
        return count_classes(split.targets.long(), classes)
    counts = torch.zeros(classes, dtype=torch.int64)
    for index, batch in enumerate(split.in_order(_READ_AT_ONCE)):
        tick(index * _READ_AT_ONCE, len(split))
        ready = batch if split.ready is None else split.ready(batch)
        counts += count_classes(ready["target"], classes).cpu()
    return counts


def _accuracy(split: _Targets, guesses: Tensor) -> Metrics:
    return {"accuracy": (guesses.to(split.targets.device) == split.targets).double().mean().item()}


def _logistic(dataset: Dataset, train: TensorSplit, split: TensorSplit, tick: Tick) -> Tensor:
    known, asked = _both(dataset, train, split, tick)
    return fit_logistic(known, train.targets, dataset.outputs, tick).predict(asked)


def _nearest(known: Tensor, asked: Tensor, tick: Tick = no_tick) -> Tensor:
    """Return the index of the nearest row of `known` (N, D) for each row of `asked` (M, D).

    The result is int64 (M,).
    """
    # Bounded in time between two ticks, and in memory: a part has a distance for each known row.
    chunk = max(1, min(1024, _AT_ONCE // (2 * known.numel()), _MOST_DISTANCES // len(known)))
    found = []
    for done, part in zip(range(0, len(asked), chunk), torch.split(asked, chunk), strict=True):
        tick(done, len(asked))
        found.append(torch.cdist(part, known).argmin(dim=1))
    return torch.cat(found)


def _both(
    dataset: Dataset, train: TensorSplit, split: TensorSplit, tick: Tick
) -> tuple[Tensor, Tensor]:
    signature = dataset.signature
    return _features(signature, train, tick), _features(signature, split, tick)


def _sizes(dataset: Dataset) -> int:
    """Return the number of features per sample that `_features` returns."""
    kind, shape = dataset.signature.kind, dataset.input_shape
    if kind == "tokens":
        return min(dataset.signature.vocabulary, _MOST_TOKENS) + dataset.signature.numbers
    has_lengths = isinstance(dataset.train, TensorSplit) and dataset.train.lengths is not None
    return 2 * shape[-1] if kind == "sequence" and has_lengths else math.prod(shape)


def _features(signature: Signature, split: TensorSplit, tick: Tick = no_tick) -> Tensor:
    """Return features (N, D), the same number for each sample whatever its length."""
    inputs = split.ready_inputs()
    if split.lengths is None:
        return inputs.flatten(1)
    lengths = split.lengths.to(inputs.device)
    if signature.kind == "tokens":
        shares = _shares(inputs, lengths, min(signature.vocabulary, _MOST_TOKENS), tick)
        return torch.cat([shares, split.others[NUMBERS]], 1) if signature.numbers else shares
    # Sequences are padded with zeros, which do not change the sum for the mean; for the deviation
    # the padding must be masked.
    inside = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
    mean = inputs.sum(dim=1) / lengths[:, None]
    apart = (inputs - mean[:, None]) * inside[..., None]
    return torch.cat([mean, (apart.square().sum(dim=1) / lengths[:, None]).sqrt()], dim=1)


def _shares(tokens: Tensor, lengths: Tensor, size: int, tick: Tick, chunk: int = 1024) -> Tensor:
    """Return the share of each token in each text (N, T), as (N, size); the last is of the rest."""
    parts = []
    for rows, sizes in zip(torch.split(tokens, chunk), torch.split(lengths, chunk), strict=True):
        tick(0, 0)
        counts = torch.zeros(len(rows), size, device=rows.device)
        inside = torch.arange(rows.shape[1], device=rows.device) < sizes[:, None]
        counts.scatter_add_(1, rows.long().clamp(max=size - 1), inside.float())
        parts.append(counts / sizes[:, None])
    return torch.cat(parts)


def _regression(dataset: Dataset, train: TensorSplit, split: TensorSplit) -> list[Baseline]:
    naive = Baseline(
        "last_value", lambda tick: _errors(last_values(dataset, split.inputs), split, dataset)
    )
    linear = Baseline(
        "linear_regression",
        lambda tick: _errors(_linear(dataset, train, split, tick), split, dataset),
        linear_cost(len(train), _sizes(dataset)),
    )
    return [
        *([naive] if dataset.preprocessing.get("source") == "forecast" else []),
        _by_targets(dataset, train, split),
        *([linear] if _fits(dataset, train) else []),
    ]


def _linear(dataset: Dataset, train: TensorSplit, split: TensorSplit, tick: Tick) -> Tensor:
    known, asked = _both(dataset, train, split, tick)
    fit = fit_linear(with_bias(known), train.targets, tick)
    return (with_bias(asked).cpu() @ fit).to(split.targets.device)


def _errors(outputs: Tensor, split: _Targets, dataset: Dataset) -> Metrics:
    """Return mae, rmse and r2 of outputs (N, K), each the mean over the K numbers.

    The errors are in units of the target.
    """
    each = [
        _errors_of_one(outputs[:, number], split.targets[:, number], unit)
        for number, unit in enumerate(dataset.info.units)
    ]
    return {name: sum(one[name] for one in each) / len(each) for name in each[0]}


def _errors_of_one(outputs: Tensor, targets: Tensor, unit: float) -> Metrics:
    wanted = targets.double()
    error = outputs.double() - wanted
    variation = wanted.var(correction=0).item()
    squared = error.square().mean().item()
    return {
        "mae": error.abs().mean().item() * unit,
        "rmse": math.sqrt(squared) * unit,
        "r2": 1 - squared / variation if variation > 0 else math.nan,
    }
