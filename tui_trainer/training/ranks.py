"""`Ranks`: what the loop asks of the other processes of a run; here there are none.

Layer: training. The batch size is global and each rank takes its slice of the same permutation,
so that more ranks change who computes, not what is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")


class Ranks(Protocol):
    """One process among `world`; rank 0 alone reads commands and writes files."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    def broadcast(self, value: T) -> T:
        """The value that rank 0 has."""
        ...

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, on each of them."""
        ...


@dataclass(frozen=True, slots=True)
class SingleRank:
    """A run of one process: everything is local."""

    rank: int = 0
    world: int = 1

    def broadcast(self, value: T) -> T:
        return value

    def sum(self, tensor: Tensor) -> Tensor:
        return tensor
