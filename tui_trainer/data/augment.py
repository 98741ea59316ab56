"""Random changes of training batches, of whatever kind.

Layer: data. Each draws from the generator it is given and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.datasets import NumbersSection
from tui_trainer.data.batch import Batch
from tui_trainer.data.delivery import Augment

Change = Callable[[Tensor, torch.Generator], Tensor]
"""Inputs (B, ...) to inputs of the same shape."""


@dataclass(frozen=True, slots=True)
class InputsChanged:
    """Changes of the inputs alone, one after the other."""

    changes: tuple[Change, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs = batch.inputs
        for change in self.changes:
            inputs = change(inputs, generator)
        return batch._replace(inputs=inputs)


@dataclass(frozen=True, slots=True)
class InTurn:
    """Several changes of a batch, one after the other."""

    augments: tuple[Augment, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for augment in self.augments:
            batch = augment(batch, generator)
        return batch


def in_turn(augments: Sequence[Augment]) -> Augment | None:
    """All of them as one; None where there are none."""
    if len(augments) < 2:
        return augments[0] if augments else None
    return InTurn(tuple(augments))


def mixing(
    section: NumbersSection, features: tuple[bool, ...] | None, classes: int
) -> list[Augment]:
    """What a section asks for that suits numbers of any kind: noise, then mixup.

    `features` as in `Noise`, `classes` as in `Mixup`.
    """
    found: list[Augment] = []
    if section.noise > 0:
        found.append(Noise(section.noise, features))
    if section.mixup is not None:
        found.append(Mixup(section.mixup, classes))
    return found


@dataclass(frozen=True, slots=True)
class Noise:
    """Normal noise on numbers, but not on padding; an `Augment`."""

    std: float
    """In units of the inputs, which are standardised."""
    features: tuple[bool, ...] | None = None
    """Which of the features (the last dimension) have noise; None: all."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs = batch.inputs
        drawn = torch.randn(
            inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype
        )
        noise = drawn * self.std
        if self.features is not None:
            noise = noise * torch.tensor(self.features).to(inputs.device, non_blocking=True)
        if batch.lengths is not None:
            lengths = batch.lengths.to(inputs.device, non_blocking=True)
            places = torch.arange(inputs.shape[1], device=inputs.device)
            noise = noise * (places < lengths[:, None])[..., None]
        return batch._replace(inputs=inputs + noise)


@dataclass(frozen=True, slots=True)
class Mixup:
    """Mix each sample with another of the batch, and their targets in the same shares (H. Zhang
    and others, mixup: Beyond Empirical Risk Minimization, 2018); an `Augment`.

    The share is drawn for each sample. Classes become shares of classes, (B, classes) float32.
    """

    alpha: float
    classes: int
    """0 where the targets are numbers."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs, targets = batch.inputs, batch.targets
        if self.classes:
            targets = F.one_hot(targets, self.classes).to(inputs.dtype)
        other = torch.randperm(len(inputs), generator=generator, device=inputs.device)
        share = _beta(self.alpha, len(inputs), generator, inputs.device)
        # The larger share is the sample's own, so that none is another's double.
        share = torch.maximum(share, 1 - share)
        return batch._replace(
            inputs=inputs + _wide(1 - share, inputs) * (inputs[other] - inputs),
            targets=targets + _wide(1 - share, targets) * (targets[other] - targets),
        )


def _wide(share: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, ...), to be multiplied with `like`."""
    return share.to(like.dtype).view(-1, *(1,) * (like.dim() - 1))


def _beta(alpha: float, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Numbers of Beta(alpha, alpha), float32 (count,)."""
    shape = torch.full((2, count), alpha, dtype=torch.float64, device=device)
    # A gamma variable of a small shape may be too small for a float.
    drawn = torch._standard_gamma(shape, generator=generator).clamp(min=1e-300)
    return (drawn[0] / drawn.sum(dim=0)).float()
