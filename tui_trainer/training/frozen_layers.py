"""Frozen parameters, and the norm layers whose statistics stay with them.

Layer: training. Freezing does not change the names of parameters, so a checkpoint saved with frozen
layers loads without, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import nn

from tui_trainer.config.sections.parameter_groups import GroupSection
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.training.parameter_groups import frozen_by_groups
from tui_trainer.training.parameter_names import names_matching


def freeze(model: nn.Module, patterns: Iterable[str], groups: Sequence[GroupSection] = ()) -> None:
    """Freeze parameters for good: those that a pattern matches, and those of frozen groups.

    Raises:
        ConfigError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(model.named_parameters())
    frozen = names_matching(patterns, parameters, "training.freeze")
    by_groups = frozen_by_groups(groups, model)
    if len(frozen | by_groups) == len(parameters):
        message = "this freezes the whole model; leave something to train, such as head"
        key = "optimizer.groups" if by_groups else "training.freeze"
        raise ConfigError([Problem(message, key)])
    for name in frozen | by_groups:
        parameters[name].requires_grad_(False)
    settle_statistics(model)


def settle_statistics(model: nn.Module) -> None:
    """Let each norm layer that is frozen completely keep its running statistics too.

    One that is trained again goes on with them.
    """
    for module in model.modules():
        if not has_statistics(module):
            continue
        own = list(module.parameters(recurse=False))
        is_frozen = bool(own) and not any(parameter.requires_grad for parameter in own)
        is_kept = isinstance(vars(module).get("train"), KeptMode)
        if is_frozen and not is_kept:
            module.eval()
            # The loop switches the mode of the whole model, which must not reach this layer.
            module.train = KeptMode(module)  # type: ignore[method-assign]
        elif is_kept and not is_frozen:
            del module.train
            module.train(model.training)


@dataclass(frozen=True, slots=True)
class KeptMode:
    """Stands in for the `train` of a layer whose mode stays what it is.

    A function would belong to the same layer in a copy of the model; this is copied with it.
    """

    layer: nn.Module

    def __call__(self, mode: bool = True) -> nn.Module:
        return self.layer


def has_statistics(module: nn.Module) -> bool:
    """Whether it is a norm that can keep running statistics, as torch's batch norms do."""
    return hasattr(module, "track_running_stats")
