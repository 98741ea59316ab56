"""Frozen parameters, and the norm layers whose statistics stay with them.

Layer: training. Freezing does not change the names of parameters, so a checkpoint saved with frozen
layers loads without, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.training.parameter_names import names_matching


def freeze(model: nn.Module, patterns: Iterable[str]) -> None:
    """Freeze parameters; a norm layer that is frozen completely keeps its running statistics too.

    Raises:
        ConfigError: a pattern matches nothing, or nothing is left to train.
    """
    parameters = dict(model.named_parameters())
    frozen = names_matching(patterns, parameters, "training.freeze")
    if len(frozen) == len(parameters):
        message = "this freezes the whole model; leave something to train, such as head"
        raise ConfigError([Problem(message, "training.freeze")])
    for name in frozen:
        parameters[name].requires_grad_(False)
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        trained = any(parameter.requires_grad for parameter in own)
        if own and not trained and has_statistics(module):
            module.eval()
            # The loop switches the mode of the whole model, which must not reach this layer.
            module.train = KeptMode(module)  # type: ignore[method-assign]


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
