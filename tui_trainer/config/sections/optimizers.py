"""Sections and specs of the optimizers; names and defaults are torch's.

Layer: config. `optimizer.lr` is the base rate; the rate of a step is lr x schedule factor.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from tui_trainer.config.sections.parameter_groups import Decay, GroupSection, MomentumGroupSection
from tui_trainer.config.sections.section import Items, Registry, Spec, TypedSection, setting

Beta = Annotated[float, Field(ge=0, lt=1)]

OPTIMIZERS = Registry("optimizer")

NO_ARGUMENTS = frozenset({"type", "decay", "groups", "layer_decay"})
"""The settings that no optimizer of torch takes: they say how the parameters are grouped."""


def _lr(default: float, description: str = "learning rate, before the schedule's factor") -> Any:
    return setting(default, description, live=True, gt=0, le=1e4)


def _weight_decay(default: float) -> Any:
    return setting(default, "weight decay", live=True, ge=0, le=1e3)


def _decay(default: Decay) -> Any:
    return setting(
        default, "what decays: all, or only matrices: two or more dimensions, no norms or biases"
    )


def _groups() -> Any:
    return setting(
        (),
        "parameters with other settings, such as {match: head, lr: 1e-3}; the first match wins",
        limit=True,
    )


def _betas() -> Any:
    return setting((0.9, 0.999), "decay of the two running means", min_length=2, max_length=2)


def _eps(default: float = 1e-8) -> Any:
    return setting(default, "added to the denominator", gt=0, le=1)


def _decoupled() -> Any:
    return setting(False, "weight decay separate from the gradient, as in AdamW")


class OptimizerSection(TypedSection):
    """Settings of every optimizer. All fields but those of `NO_ARGUMENTS` are arguments of torch's.

    `layer_decay` is that of BEiT (Bao et al., arXiv:2106.08254) and ELECTRA (arXiv:2003.10555).
    """

    lr: float = _lr(1e-3)
    weight_decay: float = _weight_decay(0.0)
    decay: Decay = _decay("all")
    groups: Items[GroupSection] = _groups()
    layer_decay: float | None = setting(
        None,
        "factor of the learning rate for each layer further away from the output, as in BEiT",
        gt=0,
        le=1,
    )


class SgdSection(OptimizerSection):
    """Stochastic gradient descent; weight decay is added to the gradient (L2)."""

    type: Literal["sgd"]
    lr: float = _lr(1e-2)
    momentum: float = setting(0.0, "momentum", live=True, ge=0, lt=1)
    groups: Items[MomentumGroupSection] = _groups()
    nesterov: bool = setting(False, "use Nesterov momentum")


class AdamSection(OptimizerSection):
    """Adam (Kingma & Ba, arXiv:1412.6980); weight decay is added to the gradient (L2)."""

    type: Literal["adam"]
    betas: Items[Beta] = _betas()
    eps: float = _eps()


class AdamWSection(OptimizerSection):
    """AdamW (Loshchilov & Hutter, arXiv:1711.05101): decoupled weight decay."""

    type: Literal["adamw"]
    weight_decay: float = _weight_decay(1e-2)
    decay: Decay = _decay("matrices")
    betas: Items[Beta] = _betas()
    eps: float = _eps()


class RmspropSection(OptimizerSection):
    """RMSprop (Hinton's lecture 6e; centered: Graves, arXiv:1308.0850)."""

    type: Literal["rmsprop"]
    lr: float = _lr(1e-2)
    alpha: float = setting(0.99, "decay of the running mean of squares", ge=0, lt=1)
    eps: float = _eps()
    momentum: float = setting(0.0, "momentum", live=True, ge=0, lt=1)
    groups: Items[MomentumGroupSection] = _groups()
    centered: bool = setting(False, "divide by the standard deviation, not by the root mean square")


class AdagradSection(OptimizerSection):
    """Adagrad (Duchi, Hazan & Singer, JMLR 12, 2011): the sum of all squares so far."""

    type: Literal["adagrad"]
    lr: float = _lr(1e-2)
    lr_decay: float = setting(0.0, "lr is divided by 1 + lr_decay x steps taken", ge=0)
    initial_accumulator_value: float = setting(0.0, "the sum of squares at the start", ge=0)
    eps: float = _eps(1e-10)


class NadamSection(OptimizerSection):
    """Adam with Nesterov's momentum (Dozat, ICLR workshop 2016)."""

    type: Literal["nadam"]
    lr: float = _lr(2e-3)
    betas: Items[Beta] = _betas()
    eps: float = _eps()
    momentum_decay: float = setting(4e-3, "how fast the momentum grows to the first beta", ge=0)
    decoupled_weight_decay: bool = _decoupled()


class RadamSection(OptimizerSection):
    """Adam that waits until its running mean of squares is reliable (arXiv:1908.03265)."""

    type: Literal["radam"]
    betas: Items[Beta] = _betas()
    eps: float = _eps()
    decoupled_weight_decay: bool = _decoupled()


class AdafactorSection(OptimizerSection):
    """Adafactor (Shazeer & Stern, arXiv:1804.04235): squares kept by row and column only.

    As in torch, the rate of step t is min(lr, 1/sqrt(t)) x the size of the weights, and weight
    decay is decoupled.
    """

    type: Literal["adafactor"]
    lr: float = _lr(1e-2)
    beta2_decay: float = setting(-0.8, "the running mean of squares keeps 1 - t^this", le=0)
    d: float = setting(1.0, "an update is scaled down to this root mean square", ge=1)


class MuonSection(OptimizerSection):
    """Muon (Jordan et al., kellerjordan.github.io/posts/muon): momentum, made orthogonal.

    For the hidden matrices: two-dimensional weights of linear and recurrent layers. Embeddings,
    the head, norms, biases and convolutions are trained by AdamW, with the `adamw_...` settings
    and the same weight decay; both rates follow the schedule.
    """

    type: Literal["muon"]
    weight_decay: float = _weight_decay(0.1)
    decay: Decay = _decay("matrices")
    momentum: float = setting(0.95, "momentum of the hidden matrices", live=True, ge=0, lt=1)
    groups: Items[MomentumGroupSection] = _groups()
    nesterov: bool = setting(True, "use Nesterov momentum")
    ns_steps: int = setting(5, "Newton-Schulz iterations", ge=1, lt=100)
    adjust_lr_fn: Literal["original", "match_rms_adamw"] = setting(
        "original",
        "lr x sqrt(max(1, rows/columns)), or matched to AdamW's step size (arXiv:2502.16982)",
    )
    adamw_lr: float = _lr(1e-3, "learning rate of everything but hidden matrices")
    adamw_betas: Items[Beta] = _betas()
    adamw_eps: float = _eps()


OPTIMIZERS.add(Spec("sgd", "stochastic gradient descent, with momentum", SgdSection))
OPTIMIZERS.add(Spec("adam", "Adam", AdamSection))
OPTIMIZERS.add(Spec("adamw", "Adam with decoupled weight decay", AdamWSection))
OPTIMIZERS.add(Spec("rmsprop", "steps divided by a running root mean square", RmspropSection))
OPTIMIZERS.add(Spec("adagrad", "steps divided by the root of all squares so far", AdagradSection))
OPTIMIZERS.add(Spec("nadam", "Adam with Nesterov momentum", NadamSection))
OPTIMIZERS.add(Spec("radam", "Adam that needs no warm-up", RadamSection))
OPTIMIZERS.add(
    Spec("adafactor", "Adam in little memory: squares by row and column", AdafactorSection)
)
OPTIMIZERS.add(
    Spec("muon", "orthogonal steps for hidden matrices, AdamW for the rest", MuonSection)
)


def base_lr(section: OptimizerSection, group: GroupSection | None) -> float:
    """Return the learning rate of a group before the schedule's factor."""
    if group is None:
        return section.lr
    if group.lr is not None:
        return group.lr
    return section.lr if group.lr_factor is None else section.lr * group.lr_factor
