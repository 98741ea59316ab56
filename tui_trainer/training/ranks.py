"""`Ranks`: the interface to the other processes of a run, of which there are none so far.

Layer: training. The batch size is global and each rank takes its slice of the same permutation, so
more ranks divide the work but do not change the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Ranks(Protocol):
    """One process among `world`; rank 0 alone reads commands and writes files."""

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...


@dataclass(frozen=True, slots=True)
class SingleRank:
    """The ranks of a run of one process, where everything is local."""

    rank: int = 0
    world: int = 1
