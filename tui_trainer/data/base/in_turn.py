"""`InTurn`: several augmentations, applied to a batch one after the other.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tui_trainer.problems.batch import Batch

Augment = Callable[[Batch, torch.Generator], Batch]
"""Changes a batch at random, on its device; draws only from the generator, on the same device."""


@dataclass(frozen=True, slots=True)
class InTurn:
    """Applies several augmentations to a batch, one after the other; an `Augment`."""

    augments: tuple[Augment, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for augment in self.augments:
            batch = augment(batch, generator)
        return batch


def combine_augments(augments: Sequence[Augment]) -> Augment | None:
    """Combine augmentations into one; None if there are none."""
    if len(augments) < 2:
        return augments[0] if augments else None
    return InTurn(tuple(augments))
