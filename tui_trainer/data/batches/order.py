"""`epoch_order`: which samples follow each other in an epoch, by chance or also by length.

Layer: data. The order is a function of the settings and the epoch, so that a run that is resumed
in the middle of an epoch has the same batches.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tui_trainer.data.base.random import permutation, seeded
from tui_trainer.data.base.split import Order

POOL_BATCHES = 50
"""So many batches are filled by length from samples drawn by chance: the usual compromise, as with
one pool of all samples the same ones would meet in every epoch."""


def epoch_order(order: Order, count: int, epoch: int, lengths: Tensor | None = None) -> Tensor:
    """Return the order of the samples in an epoch, int64 (count,), on the CPU.

    If the settings ask for it and there are lengths (count,), the samples of a batch are similarly
    long; the batches follow each other by chance, the last, smaller one at the end.
    """
    drawn = permutation(count, order.seed, epoch)
    if lengths is None or not order.group_by_length:
        return drawn
    size = order.batch_size
    batches = count // size
    full = drawn[: batches * size]
    pools = np.arange(len(full)) // (POOL_BATCHES * size)
    # Samples of the same length keep the order in which they were drawn.
    by_length = np.lexsort((lengths[full].numpy(), pools))
    rows = full[torch.from_numpy(by_length)].view(batches, size)
    generator = seeded("cpu", order.seed, "order of batches", epoch)
    mixed = rows[torch.randperm(batches, generator=generator)]
    return torch.cat([mixed.flatten(), drawn[batches * size :]])
