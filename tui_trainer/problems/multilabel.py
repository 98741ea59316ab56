"""Multilabel: any number of labels for each sample.

Layer: problems. Outputs are logits (B, K), and targets are 0 or 1 (B, K), as float32. A label is
predicted if its probability is above one half, which is a logit above 0.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import (
    Prediction,
    Result,
    SampleMismatch,
    Sums,
    Totals,
    f1_of,
    logit,
)

if TYPE_CHECKING:
    from torchmetrics import Metric

MOST_LABELS = 100
"""With more labels there is no table of them."""

_RANKING = {"auroc": "MultilabelAUROC", "average_precision": "MultilabelAveragePrecision"}
"""The metrics that need all outputs of a split, and the class of torchmetrics for each."""


class Multilabel:
    """Any number of labels for each sample; implements `ProblemKind`."""

    name: ProblemName = "multilabel"
    why_no_predictions = ""

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        count = len(info.classes)
        if targets.shape[1:] != (count,):
            raise SampleMismatch(
                f"the target is {describe(targets[0])}; it should have a 0 or 1 for each of "
                f"{count} labels"
            )
        wrong = targets[(targets != 0) & (targets != 1)]
        if len(wrong):
            raise SampleMismatch(f"the target has a {wrong[0].item():g}; each label is 0 or 1")
        return targets.float()

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        return len(info.classes)

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        return LabelTotals(info, device, extras, with_result=with_result)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        chosen = outputs > logit(info.threshold)
        return [
            _decoded(shares, is_chosen, info.classes)
            for shares, is_chosen in zip(outputs.sigmoid(), chosen.tolist(), strict=True)
        ]

    def combine(self, outputs: Tensor) -> None:
        return None


def _decoded(shares: Tensor, is_chosen: Sequence[bool], labels: Sequence[str]) -> Prediction:
    order = shares.argsort(descending=True, stable=True).tolist()
    chosen = [labels[index] for index in order if is_chosen[index]]
    return Prediction(chosen, {labels[index]: float(shares[index]) for index in order})


class LabelTotals:
    """The totals of a multilabel problem; implements `Totals`.

    `f1`, `precision` and `recall` are of all labels together (micro average). A mean over the
    labels is one over those for which it is defined: for `macro_f1` and `average_precision` those
    that some sample has, for `auroc` those that some have and others lack. A number that is defined
    for none is NaN, and so are the last two if an output is not finite.
    """

    def __init__(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str],
        *,
        with_result: bool,
    ) -> None:
        self._extras = tuple(extras)
        self._with_result = with_result and len(info.classes) <= MOST_LABELS
        self._sums = Sums()
        self._cut = logit(info.threshold)
        count = len(info.classes)
        self._ranking = {
            name: _ranking_metric(name, count).to(device) for name in extras if name in _RANKING
        }
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        count = torch.tensor(float(len(targets)), dtype=torch.float64, device=targets.device)
        guesses = (outputs > self._cut).to(targets.dtype)
        self._sums.add(
            {
                "count": count,
                "loss": loss.double() * len(targets),
                "exact_match": (guesses == targets).all(dim=1).sum().double(),
                "true": targets.sum(dim=0, dtype=torch.float64),
                "predicted": guesses.sum(dim=0, dtype=torch.float64),
                "right": (guesses * targets).sum(dim=0, dtype=torch.float64),
            }
        )
        if self._ranking:
            self._finite = self._finite & outputs.isfinite().all()
            # float64 still tells apart very confident outputs.
            probabilities = outputs.double().sigmoid()
            for metric in self._ranking.values():
                metric.update(probabilities, targets.long())

    def compute(self) -> dict[str, float]:
        sums = self._sums.read()
        count = sums["count"][0]
        true, predicted, right = sums["true"], sums["predicted"], sums["right"]
        metrics = {
            "loss": sums["loss"][0] / count,
            "f1": f1_of(sum(true), sum(predicted), sum(right)),
            "exact_match": sums["exact_match"][0] / count,
        }
        for name in self._extras:
            if name in _RANKING:
                has_scale = [
                    it > 0 if name == "average_precision" else 0 < it < count for it in true
                ]
                metrics[name] = self._mean_ranking(name, has_scale)
            elif name == "macro_f1":
                rows = zip(true, predicted, right, strict=True)
                scores = [f1_of(*row) for row in rows if row[0] > 0]
                metrics[name] = sum(scores) / len(scores) if scores else math.nan
            elif name == "precision":
                # With no prediction it is 0, as in scikit-learn.
                metrics[name] = sum(right) / sum(predicted) if sum(predicted) else 0.0
            elif name == "recall":
                metrics[name] = sum(right) / sum(true) if sum(true) else math.nan
        return metrics

    def _mean_ranking(self, name: str, is_defined: Sequence[bool]) -> float:
        if not any(is_defined) or not self._finite.item():
            return math.nan
        with warnings.catch_warnings():
            # Of labels that no sample has or all have, whose scores are then left out.
            warnings.filterwarnings("ignore", message="No (positive|negative) samples")
            scores = self._ranking[name].compute()
        return float(scores[torch.tensor(is_defined, device=scores.device)].mean().item())

    def result(self) -> Result | None:
        if not self._with_result:
            return None
        sums = self._sums.read()
        columns = [list(map(int, sums[name])) for name in ("true", "predicted", "right")]
        return Result(labels=tuple(zip(*columns, strict=True)))


def _ranking_metric(name: str, labels: int) -> Metric:
    from torchmetrics import classification

    kind = getattr(classification, _RANKING[name])
    made: Metric = kind(labels, average="none", validate_args=False)
    return made
