"""Losses as functions (outputs, targets) -> mean over the samples of the batch.

Layer: training. The mean is over samples also with class weights, so that micro-batches weighted
by their sizes add up to exactly the mean over the whole group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.errors import ConfigError, Problem
from tui_trainer.config.losses import AutoLossSection, CrossEntropySection
from tui_trainer.config.section import TypedSection
from tui_trainer.config.text import clean
from tui_trainer.data.dataset import Dataset

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Criterion:
    """The loss to train on, and the same without smoothing to measure by."""

    train: Loss
    measure: Loss


def build_criterion(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    """The loss of a section for a data set; ConfigError when the two do not fit."""
    if isinstance(section, AutoLossSection):
        name = "mse" if dataset.task == "regression" else "cross_entropy"
    else:
        name = section.type
    return LOSSES[name](section, dataset, device)


def _cross_entropy(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    if dataset.task == "regression":
        raise _misfit("cross_entropy needs classes; the target is a number: use loss=mse")
    smoothing = 0.0
    weights: Tensor | None = None
    if isinstance(section, CrossEntropySection):
        smoothing = section.label_smoothing
        weights = _class_weights(section, dataset, device)

    def loss(outputs: Tensor, targets: Tensor, smooth: float) -> Tensor:
        if outputs.dim() > 2:
            # A prediction at every place: (B, T, K) and (B, T).
            outputs, targets = outputs.flatten(0, 1), targets.flatten()
        if weights is None:
            return F.cross_entropy(outputs, targets, label_smoothing=smooth)
        total = F.cross_entropy(
            outputs, targets, weight=weights, label_smoothing=smooth, reduction="sum"
        )
        return total / len(targets)

    return Criterion(lambda o, t: loss(o, t, smoothing), lambda o, t: loss(o, t, 0.0))


def _class_weights(
    section: CrossEntropySection, dataset: Dataset, device: torch.device
) -> Tensor | None:
    """Weights of shape (classes,), of mean 1 over the training samples when balanced."""
    if section.class_weights == "none":
        return None
    if section.class_weights == "balanced":
        counts = torch.tensor(dataset.class_counts)
        return (counts.sum() / (dataset.outputs * counts.clamp(min=1))).float().to(device)
    if len(section.class_weights) != dataset.outputs:
        raise ConfigError(
            [
                Problem(
                    f"{len(section.class_weights)} weights for {dataset.outputs} classes: "
                    f"{clean(', '.join(dataset.classes))}",
                    "loss.class_weights",
                )
            ]
        )
    return torch.tensor(section.class_weights, device=device)


def _mse(section: TypedSection, dataset: Dataset, device: torch.device) -> Criterion:
    if dataset.task != "regression":
        raise _misfit("mse needs a number to predict; the target is a class: use cross_entropy")
    return Criterion(F.mse_loss, F.mse_loss)


def _misfit(message: str) -> ConfigError:
    return ConfigError([Problem(message, "loss.type")])


LOSSES: dict[str, Callable[[TypedSection, Dataset, torch.device], Criterion]] = {
    "auto": build_criterion,
    "cross_entropy": _cross_entropy,
    "mse": _mse,
}
