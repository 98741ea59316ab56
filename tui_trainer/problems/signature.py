"""`Signature` and `SampleField`: the shapes of inputs and outputs, which a model is built for.

Layer: problems. Sizes come from here and never from a preset, so that a model always fits its data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.problem_specs import Places

Kind = Literal["features", "image", "sequence", "tokens"]
NUMBERS = "numbers"
"""The name of the field with the numbers beside a text."""


@dataclass(frozen=True, slots=True)
class SampleField:
    """A field of the samples that a model may read."""

    name: str
    shape: tuple[int, ...]
    """Of the first sample; the length of a sequence or text may differ in others."""
    dtype: str
    """`float32`, `int64` or `bool`."""

    @property
    def has_length(self) -> bool:
        """Whether samples may differ in their first dimension, as sequences and texts do."""
        is_sequence = len(self.shape) == 2 and self.dtype == "float32"
        return is_sequence or (len(self.shape) == 1 and self.dtype == "int64")


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
    places: Places = "one"
    """Where there is a prediction: one for a sample, or one at each step or pixel."""
    causal: bool = False
    """Whether the prediction at a step must not depend on later ones, as in language modelling."""
    numbers: int = 0
    """Of tokens: how many numbers are beside each text, in the field NUMBERS."""

    def field(self, name: str = "input") -> SampleField:
        """Return the field with the inputs, of the largest shape."""
        return SampleField(name, self.input_shape, "int64" if self.kind == "tokens" else "float32")
