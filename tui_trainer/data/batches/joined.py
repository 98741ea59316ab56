"""`JoinedSplits`: several splits measured as one.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tui_trainer.data.base.split import Measurable, Ready
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.batch import Batch


@dataclass(frozen=True, slots=True)
class JoinedSplits:
    """Splits one after the other; implements `Measurable`."""

    parts: tuple[Measurable, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def ready(self) -> Ready | None:
        # The parts have the same fields, in the same form.
        return self.parts[0].ready

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every sample once; a batch has samples of one part only."""
        for part in self.parts:
            yield from part.in_order(batch_size)

    def count(self, batch_size: int) -> int:
        return sum(part.count(batch_size) for part in self.parts)


def joined_tensors(parts: Sequence[TensorSplit]) -> TensorSplit:
    """Return one split of samples in memory that have no lengths."""
    first = parts[0]
    assert all(part.places is None for part in parts), "their inputs would be cut out"
    return TensorSplit(
        torch.cat([part.inputs for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.rows for part in parts]),
        name=first.name,
        scaling=first.scaling,
        others={name: torch.cat([part.others[name] for part in parts]) for name in first.others},
    )
