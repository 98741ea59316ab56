"""`DataSummary`: a data set in a few short texts, for a person who has not seen it yet.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The texts are cleaned for display, and say nothing of settings."""

    contents: str
    """The rows and columns, or what there is in their place."""
    target: str
    """Its classes with their rows, or the range of its numbers."""
    inputs: str
    """The kinds of the columns or the shape of the inputs."""
    split: str
    """The shares of the splits."""
    sizes: tuple[int, int, int]
    """Samples for training, validation and the test; bytes of a text to be continued."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def shares_text(sizes: Sequence[int]) -> str:
    """Return the shares of the three splits: `68 / 12 / 20 % train, validation, test`."""
    shares = " / ".join(f"{100 * size / max(sum(sizes), 1):.0f}" for size in sizes)
    return f"{shares} % train, validation, test"
