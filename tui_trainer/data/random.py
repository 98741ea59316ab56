"""Seeds for every draw outside the model, by what is drawn and not by what came before.

Layer: data. This is what makes a run cut at any step equal to the uncut one: the order of
epoch 7 can be drawn without having drawn the six before it.
"""

from __future__ import annotations

from hashlib import blake2b

import torch
from torch import Tensor


def derive_seed(seed: int, purpose: str, *numbers: int) -> int:
    """A seed in [0, 2**63) for one purpose; equal arguments give equal seeds on every machine."""
    text = ":".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def seeded(device: torch.device | str, seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A new generator on `device` for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, *numbers))


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """The order of the samples in an epoch: int64, shape (count,), on the CPU."""
    return torch.randperm(count, generator=seeded("cpu", seed, "order", epoch))
