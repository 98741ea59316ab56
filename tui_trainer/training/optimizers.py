"""Optimizers of torch from their sections, fused where torch has it for the device.

Layer: training. The learning rate in a group is overwritten at every step by base x factor.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn, optim

from tui_trainer.config.optimizers import AdamSection, AdamWSection, OptimizerSection, SgdSection


def build_optimizer(section: OptimizerSection, model: nn.Module) -> optim.Optimizer:
    """The optimizer of a section over the trained parameters of a model."""
    return OPTIMIZERS[section.type](section, [p for p in model.parameters() if p.requires_grad])


def retune(optimizer: optim.Optimizer, section: OptimizerSection) -> None:
    """Bring the live settings of a section into force, except for the learning rate."""
    for group in optimizer.param_groups:
        for key in ("weight_decay", "momentum"):
            if key in group and hasattr(section, key):
                group[key] = getattr(section, key)


def _sgd(section: OptimizerSection, parameters: list[nn.Parameter]) -> optim.Optimizer:
    assert isinstance(section, SgdSection)
    return optim.SGD(
        parameters,
        lr=section.lr,
        momentum=section.momentum,
        nesterov=section.nesterov,
        weight_decay=section.weight_decay,
        fused=True,
    )


def _adam(section: OptimizerSection, parameters: list[nn.Parameter]) -> optim.Optimizer:
    assert isinstance(section, AdamSection)
    kind = optim.AdamW if isinstance(section, AdamWSection) else optim.Adam
    return kind(
        parameters,
        lr=section.lr,
        betas=(section.betas[0], section.betas[1]),
        eps=section.eps,
        weight_decay=section.weight_decay,
        fused=True,
    )


OPTIMIZERS: dict[str, Callable[[OptimizerSection, list[nn.Parameter]], optim.Optimizer]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adam,
}
