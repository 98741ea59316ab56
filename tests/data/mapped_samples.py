"""Map-style data sets for tests; at the top of a module, so that workers can unpickle them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

CLASSES = 3


class Noisy(Dataset[Any]):
    """Inputs changed at random with every generator there is."""

    def __init__(self, count: int = 50, features: int = 4) -> None:
        self._count = count
        self._features = features

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        values = torch.full((self._features,), float(index % CLASSES))
        values += torch.rand(self._features) + random.random() + float(np.random.rand())
        return values, index % CLASSES

    def path(self, index: int) -> str:
        return f"sample-{index}.png"


class Drawn(Dataset[Any]):
    """Its targets are drawn as it is told; counts how often a sample is read."""

    def __init__(self, count: int, draw: Callable[[int], float]) -> None:
        self._count, self._draw = count, draw
        self.read = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        self.read += 1
        return torch.full((2,), float(index)), self._draw(index)


class Growing(Dataset[Any]):
    """Sequences of different lengths, from numpy."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return np.full((1 + index % 4, 2), float(index)), index % 2


class Broken(Noisy):
    """One sample raises."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == 17:
            raise OSError("truncated\x1b[31m file")
        return super().__getitem__(index)


@dataclass
class Staged(Dataset[Any]):
    """Does something once, when a file says so: `kill`, `exit`, `hang` or `bus`."""

    order: Path
    at: int = 17
    count: int = 50

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == self.at and self.order.exists():
            act(self.order)
        return torch.full((4,), float(index % CLASSES)) + torch.rand(4), index % CLASSES


def act(order: Path) -> None:
    match order.read_text():
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "bus":
            os.kill(os.getpid(), signal.SIGBUS)
        case "exit":
            os._exit(3)
        case "hang":
            # As long as the file is there, so that nothing is left behind in any case.
            while order.exists():
                time.sleep(0.05)
