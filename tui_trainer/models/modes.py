"""`Modes`: switches a whole model between training and evaluation.

Layer: models. A validation of a small model takes less time than torch needs to find all of its
modules, twice.
"""

from __future__ import annotations

from torch import nn

_PLAIN = ("torch.nn.modules.", "tui_trainer.models.")
"""Where the classes are defined whose objects keep the modules that they were made with."""


class Modes:
    """Sets the mode of the modules of a model as `nn.Module.train` does, and faster if it can.

    It finds the modules once if all classes are torch's or our own. Other models may exchange
    modules, and may do more when their mode is set.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        modules = list(model.modules())
        self._modules = modules if all(map(_is_plain, modules)) else []

    def set(self, *, training: bool) -> None:
        """Set the mode."""
        attributes = [vars(module) for module in self._modules]
        # A frozen norm layer has a `train` of its own.
        if not attributes or any("train" in own or "eval" in own for own in attributes):
            self._model.train(training)
            return
        for own in attributes:
            own["training"] = training


def _is_plain(module: nn.Module) -> bool:
    kind = type(module)
    is_known = kind.__module__.startswith(_PLAIN)
    return is_known and kind.train is nn.Module.train and kind.eval is nn.Module.eval
