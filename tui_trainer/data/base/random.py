"""Random numbers: a seed for each purpose, and the states of the global generators.

Layer: data. Each draw outside the model has a seed derived from its purpose, not from earlier
draws, so the order of epoch 7 does not require drawing the epochs before it. Models draw from the
global generators, whose states are saved in every checkpoint. Together this makes a run that was
interrupted at any step identical to an uninterrupted one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor


def derive_seed(seed: int, purpose: str, *numbers: int) -> int:
    """Return a seed in [0, 2**63) for one purpose; equal arguments give equal seeds on every
    machine.
    """
    text = ":".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def derive_seeds(seed: int, purpose: str, number: int, last: Sequence[int]) -> list[int]:
    """Return `derive_seed(seed, purpose, number, one)` for each of some numbers."""
    begin = f"{seed}:{purpose}:{number}:"
    digests = (blake2b(f"{begin}{one}".encode(), digest_size=8).digest() for one in last)
    return [int.from_bytes(digest, "big") >> 1 for digest in digests]


def seeded(device: torch.device | str, seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """Return a new generator on `device`, seeded for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, *numbers))


def permutation(count: int, seed: int, epoch: int) -> Tensor:
    """Return the order of the samples in an epoch: int64, shape (count,), on the CPU."""
    return torch.randperm(count, generator=seeded("cpu", seed, "order", epoch))


def seed_all(seed: int) -> None:
    """Seed the global generators of torch (on the CPU), numpy and Python."""
    seed_torch(seed)
    seed_numpy(seed)
    seed_python(seed)


def seed_torch(seed: int) -> None:
    """Seed the global generator of torch on the CPU."""
    torch.default_generator.manual_seed(seed)


def seed_numpy(seed: int) -> None:
    """Seed the global generator of numpy."""
    np.random.seed(seed % 2**32)


def seed_python(seed: int) -> None:
    """Seed the global generator of Python."""
    random.seed(seed)


@dataclass(frozen=True, slots=True, eq=False)
class GeneratorStates:
    """The states of the global generators: torch (CPU and optionally a GPU), numpy, Python."""

    cpu: Tensor
    numpy: Any
    python: tuple[Any, ...]
    cuda: Tensor | None = None

    @staticmethod
    def capture(device: torch.device | None = None) -> GeneratorStates:
        """Return the current states; includes that of `device` if it is a GPU."""
        cuda = None
        if device is not None and device.type == "cuda":
            cuda = torch.cuda.get_rng_state(device)
        return GeneratorStates(
            cpu=torch.default_generator.get_state(),
            numpy=np.random.get_state(legacy=True),
            python=random.getstate(),
            cuda=cuda,
        )

    def restore(self, device: torch.device | None = None) -> None:
        """Set the generators to these states; the GPU's only if `device` is a GPU."""
        torch.default_generator.set_state(self.cpu)
        if self.cuda is not None and device is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.cuda, device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data and tensors, as a safe load of a checkpoint accepts them."""
        name, key, position, has_gauss, gauss = self.numpy
        return {
            "torch": self.cpu,
            "cuda": self.cuda,
            # numpy keeps the key as an array, which a safe load refuses.
            "numpy": [name, [int(number) for number in key], position, has_gauss, gauss],
            "python": self.python,
        }

    @staticmethod
    def from_dict(saved: Mapping[str, Any]) -> GeneratorStates:
        """Rebuild the states from the output of `to_dict`; may raise anything for other data."""
        name, key, position, has_gauss, gauss = saved["numpy"]
        numpy = (name, np.array(key, dtype=np.uint32), position, has_gauss, gauss)
        return GeneratorStates(saved["torch"], numpy, saved["python"], saved.get("cuda"))


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Restore the global generators afterwards, whatever is drawn from them inside."""
    states = GeneratorStates.capture()
    try:
        yield
    finally:
        states.restore()
