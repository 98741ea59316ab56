"""`InTurn`: several augmentations, applied one after the other to a batch, or to several at once.

Layer: data. Those that come first are applied to several batches together, if their random numbers
can be drawn before: each batch has a generator of its own, so its numbers are the same as alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from tui_trainer.data.base.split import Chunk
from tui_trainer.problems.batch import Batch

Augment = Callable[[Batch, torch.Generator], Batch]
"""Changes a batch at random, on its device; draws only from the generator, on the same device."""

Numbers = tuple[Tensor, ...]
"""Random numbers for a batch, each tensor with the samples in dimension 0."""


class DrawnAugment(ABC):
    """An augmentation whose numbers are drawn before it changes anything; an `Augment`."""

    __slots__ = ()

    @abstractmethod
    def draw(self, batch: Batch, count: int, generator: torch.Generator) -> Numbers:
        """Draw the numbers for `count` samples that are like those of a batch."""

    @abstractmethod
    def apply(self, samples: Batch, numbers: Sequence[Numbers]) -> Batch:
        """Return the samples of one or more batches, changed by the numbers of each.

        The bits of a batch must not depend on the others. Kernels may round in the middle of a
        tensor otherwise than at its end: functions as the cosine are for the numbers of one batch.
        Sums and products of two numbers are the same everywhere.
        """

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        return self.apply(batch, [self.draw(batch, size_of(batch), generator)])


def size_of(batch: Batch) -> int:
    """Return the number of samples of a batch."""
    return len(next(iter(batch.values())))


@dataclass(frozen=True, slots=True)
class InTurn:
    """Applies several augmentations to a batch, one after the other; an `Augment`."""

    augments: tuple[Augment, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        for augment in self.augments:
            batch = augment(batch, generator)
        return batch

    def of_chunk(self, chunk: Chunk, generators: Sequence[torch.Generator]) -> Iterator[Batch]:
        """Yield the batches of a chunk, each changed by numbers from its own generator.

        What cannot be applied to all of them at once is applied when a batch is asked for.
        """
        together = self._applied_together()
        samples, own_draws = chunk.samples, list(zip(chunk.sizes, generators, strict=True))
        # A batch draws all its numbers before the next one, as it does alone.
        numbers = [[augment.draw(samples, *own) for augment in together] for own in own_draws]
        for augment, by_batch in zip(together, zip(*numbers, strict=True), strict=True):
            samples = augment.apply(samples, by_batch)
        rest = InTurn(self.augments[len(together) :])
        changed = Chunk(samples, chunk.sizes).batches()
        for batch, generator in zip(changed, generators, strict=True):
            yield rest(batch, generator)

    def _applied_together(self) -> list[DrawnAugment]:
        together: list[DrawnAugment] = []
        for augment in self.augments:
            if not isinstance(augment, DrawnAugment):
                break
            together.append(augment)
        return together


def joined(by_batch: Sequence[Tensor]) -> Tensor:
    """Return the numbers of several batches as one tensor."""
    return by_batch[0] if len(by_batch) == 1 else torch.cat(list(by_batch))


def combine_augments(augments: Sequence[Augment]) -> Augment | None:
    """Combine augmentations into one; None if there are none."""
    if len(augments) < 2:
        return augments[0] if augments else None
    parts = [
        augment.augments if isinstance(augment, InTurn) else (augment,) for augment in augments
    ]
    return InTurn(tuple(chain.from_iterable(parts)))
