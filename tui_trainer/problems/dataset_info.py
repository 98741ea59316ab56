"""`DatasetInfo`: describes a data set without its samples.

Layer: problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tui_trainer.config.problems import ProblemName
from tui_trainer.problems.signature import Signature

MOST_SIZE = 2**31
"""Sizes of samples and outputs read from a checkpoint must be below this."""


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Describes a data set without its samples; saved in every checkpoint."""

    signature: Signature
    task: ProblemName
    classes: tuple[str, ...]
    target_mean: float = 0.0
    target_std: float = 1.0
    """`targets * target_std + target_mean` is in the units of the file."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> DatasetInfo:
        """Rebuild the object from the output of `to_dict`; KeyError or TypeError for other data."""
        shape = tuple(plain["signature"]["input_shape"])
        signature = Signature(**{**plain["signature"], "input_shape": shape})
        for size in (*shape, signature.outputs, signature.vocabulary):
            if type(size) is not int or not 0 <= size < MOST_SIZE:
                raise TypeError(f"a size of {size!r:.40}")
        return DatasetInfo(**{**plain, "signature": signature, "classes": tuple(plain["classes"])})
