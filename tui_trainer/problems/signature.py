"""`Signature`: the shapes of a data set's inputs and outputs, which a model is built for.

Layer: problems. Sizes come from here and never from a preset, so that a model always fits its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["features", "image", "sequence", "tokens"]


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs of a data set and the outputs required of a model."""

    kind: Kind
    input_shape: tuple[int, ...]
    """Without the batch dimension. features: (D,), image: (C, H, W), sequence: (T, C), tokens:
    (T,). T is the longest length in the data; a batch may be shorter."""
    outputs: int
    """Numbers per prediction: one logit per class, or a single value."""
    vocabulary: int = 0
    """Tokens are below this; 0 if the inputs are not tokens."""
    per_step: bool = False
    """Whether there is a prediction at every position of a sequence, as in language modelling."""
