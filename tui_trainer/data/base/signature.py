"""`Signature`: what the samples of a data set look like: all that a model is built from.

Layer: data. Sizes come from here and never from a preset, so that a model fits its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["features", "image", "sequence", "tokens"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a data set and the outputs asked for."""

    kind: Kind
    input_shape: tuple[int, ...]
    """Without the batch. features: (D,), image: (C, H, W), sequence: (T, C), tokens: (T,); T is
    the longest there is, and a batch may be shorter."""
    outputs: int
    """Numbers a prediction: a logit for each class, or one value."""
    vocabulary: int = 0
    """Tokens are below this; 0 where inputs are no tokens."""
    per_step: bool = False
    """Whether there is a prediction at every place of a sequence, as in language modelling."""
