"""Sections and specs of the transforms: random changes of training batches by a plugin.

Layer: config. `none` is the only built-in one; the changes of pictures and numbers that ship with
the program are settings of the data sets.
"""

from typing import Literal

from tui_trainer.config.sections.section import Registry, Spec, TypedSection

TRANSFORMS = Registry("transform")
NO_TRANSFORM = "none"


class NoTransformSection(TypedSection):
    """Batches are trained on as the data set gives them."""

    type: Literal["none"]


TRANSFORMS.add(Spec(NO_TRANSFORM, "batches as the data set gives them", NoTransformSection))
