"""Specs of the optimizers; names and defaults are torch's.

Layer: config. `optimizer.lr` is the base rate: the rate of a step is lr x schedule factor.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tui_trainer.config.registry import Registry, Spec
from tui_trainer.config.section import Items, TypedSection, setting

Beta = Annotated[float, Field(ge=0, lt=1)]

OPTIMIZERS = Registry("optimizer")


class OptimizerSection(TypedSection):
    """What every optimizer has."""

    lr: float = setting(
        1e-3, "learning rate, before the schedule's factor", live=True, gt=0, le=1e4
    )
    weight_decay: float = setting(0.0, "weight decay", live=True, ge=0, le=1e3)


class SgdSection(OptimizerSection):
    """Stochastic gradient descent; weight decay is added to the gradient (L2)."""

    type: Literal["sgd"]
    lr: float = setting(
        1e-2, "learning rate, before the schedule's factor", live=True, gt=0, le=1e4
    )
    momentum: float = setting(0.0, "momentum", live=True, ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov's form of the momentum")


class AdamSection(OptimizerSection):
    """Adam (Kingma & Ba, arXiv:1412.6980); weight decay is added to the gradient (L2)."""

    type: Literal["adam"]
    betas: Items[Beta] = setting(
        (0.9, 0.999), "decay of the two running means", min_length=2, max_length=2
    )
    eps: float = setting(1e-8, "added to the denominator", gt=0, le=1)


class AdamWSection(AdamSection):
    """AdamW (Loshchilov & Hutter, arXiv:1711.05101): weight decay apart from the gradient."""

    type: Literal["adamw"]  # type: ignore[assignment]
    weight_decay: float = setting(1e-2, "weight decay", live=True, ge=0, le=1e3)


OPTIMIZERS.add(Spec("sgd", "stochastic gradient descent, with momentum", SgdSection))
OPTIMIZERS.add(Spec("adam", "Adam", AdamSection))
OPTIMIZERS.add(Spec("adamw", "Adam with decoupled weight decay", AdamWSection))
