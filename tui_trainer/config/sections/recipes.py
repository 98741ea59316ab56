"""Sections and specs of the recipes: the way a step is taken.

Layer: config. `supervised` is the built-in one: forward, loss on the targets, backward, update. All
others are of plugins.
"""

from typing import Literal

from tui_trainer.config.sections.section import Registry, Spec, TypedSection

RECIPES = Registry("recipe")
SUPERVISED = "supervised"


class SupervisedSection(TypedSection):
    """The model's outputs are compared with the targets by the loss."""

    type: Literal["supervised"]


RECIPES.add(Spec(SUPERVISED, "outputs compared with targets by the loss", SupervisedSection))
