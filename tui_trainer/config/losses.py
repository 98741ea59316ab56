"""Specs of the losses.

Layer: config. `auto` takes cross entropy for classes and the mean squared error for numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tui_trainer.config.registry import Registry, Spec
from tui_trainer.config.section import Items, TypedSection, setting

LOSSES = Registry("loss")


class AutoLossSection(TypedSection):
    """The usual loss of the task."""

    type: Literal["auto"]


class CrossEntropySection(TypedSection):
    """Cross entropy of the logits, averaged over the samples."""

    type: Literal["cross_entropy"]
    label_smoothing: float = setting(
        0.0, "share of the target spread over all classes, in training only", ge=0, lt=1
    )
    class_weights: Literal["none", "balanced"] | Items[Annotated[float, Field(gt=0)]] = setting(
        "none", "balanced: n / (classes x n of the class), of the training split; or a list"
    )


class MseSection(TypedSection):
    """Mean squared error, in units of the standardised target."""

    type: Literal["mse"]


LOSSES.add(Spec("auto", "cross entropy for classes, squared error for numbers", AutoLossSection))
LOSSES.add(Spec("cross_entropy", "cross entropy", CrossEntropySection))
LOSSES.add(Spec("mse", "mean squared error", MseSection))
