"""Sections and specs of the losses.

Layer: config. `auto` means cross entropy for classes and mean squared error for numbers.
"""

from typing import Annotated, Literal

from pydantic import Field

from tui_trainer.config.sections.section import Items, Registry, Spec, TypedSection, setting

LOSSES = Registry("loss")


class AutoLossSection(TypedSection):
    """The usual loss of the task."""

    type: Literal["auto"]


class WeightedSection(TypedSection):
    """Losses over classes, with optional class weights."""

    class_weights: Literal["none", "balanced"] | Items[Annotated[float, Field(gt=0)]] = setting(
        "none", "balanced: n / (classes x n per class), in the training split; or a list"
    )


class CrossEntropySection(WeightedSection):
    """Cross entropy of the logits in nats, averaged over the samples, or over tokens."""

    type: Literal["cross_entropy"]
    label_smoothing: float = setting(
        0.0, "share of the target spread over all classes, in training only", ge=0, lt=1
    )


class BinaryCrossEntropySection(TypedSection):
    """Cross entropy of two classes by one logit: the second class's minus the first class's.

    Without a weight it is the cross entropy of two classes; weights are as in torch's
    BCEWithLogitsLoss.
    """

    type: Literal["binary_cross_entropy"]
    pos_weight: float = setting(1.0, "weight of the second class; the first has 1", gt=0, le=1e6)


class FocalSection(WeightedSection):
    """Cross entropy times (1 - p)^gamma, p of the right class (Lin et al., arXiv:1708.02002).

    The paper's alpha is a list of class weights: for two classes [1 - alpha, alpha].
    """

    type: Literal["focal"]
    gamma: float = setting(2.0, "how much less an easy sample counts", ge=0, le=100)


class DiceSection(TypedSection):
    """One minus the overlap of each class with its pixels (Milletari et al., arXiv:1606.04797).

    The mean over the classes of 1 - (2 sum(p g) + s) / (sum(p^2) + sum(g^2) + s), where p is the
    probability of the class at a pixel, g is 1 where it is right and else 0, and s is `smoothing`.
    """

    type: Literal["dice"]
    smoothing: float = setting(
        1.0, "pixels added above and below the fraction, for classes without any", gt=0, le=1e6
    )


class MseSection(TypedSection):
    """Mean squared error, in units of the standardised target."""

    type: Literal["mse"]


class L1Section(TypedSection):
    """Mean absolute error, in units of the standardised target."""

    type: Literal["l1"]


class HuberSection(TypedSection):
    """Half the squared error up to delta, and a straight line from there (Huber, 1964).

    In units of the standardised target.
    """

    type: Literal["huber"]
    delta: float = setting(1.0, "error above which the loss is linear", gt=0, le=1e6)


class ModelLossSection(TypedSection):
    """The `loss` in what the model returns, which it computes itself from the target that it gets.

    For models of plugins.
    """

    type: Literal["model"]


MODEL_LOSS = "model"
"""The type of the loss that is computed by the model, whatever the problem is."""

LOSSES.add(Spec("auto", "cross entropy for classes, squared error for numbers", AutoLossSection))
LOSSES.add(Spec("cross_entropy", "cross entropy", CrossEntropySection))
LOSSES.add(Spec("binary_cross_entropy", "cross entropy of two classes", BinaryCrossEntropySection))
LOSSES.add(Spec("focal", "cross entropy in which easy samples count less", FocalSection))
LOSSES.add(Spec("mse", "mean squared error", MseSection))
LOSSES.add(Spec("l1", "mean absolute error", L1Section))
LOSSES.add(Spec("huber", "squared error of small errors, absolute of large ones", HuberSection))
LOSSES.add(Spec("dice", "overlap of each class with its pixels", DiceSection))
LOSSES.add(Spec(MODEL_LOSS, "the loss that a plugin's model returns", ModelLossSection))
