"""`Modes`: switches a whole model between training and evaluation.

Layer: models. A validation of a small model takes less time than torch needs to find all of its
modules, twice.
"""

from __future__ import annotations

from typing import Any

from torch import nn

_PLAIN = ("torch.nn.modules.", "tui_trainer.models.")
"""Where the classes are defined whose objects keep the modules that they were made with."""


class Modes:
    """Sets the mode of the modules of a model as `nn.Module.train` does, and faster if it can.

    It finds the modules once if all classes are torch's or our own, and again after some were
    exchanged, as a hook of the user's may do. Other models may do more when their mode is set.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._attributes: list[dict[str, Any]] = []
        """Those of each module if all are plain; else none."""
        self._inner: list[dict[str, nn.Module | None]] = []
        """The modules in each of them."""
        self._children: list[nn.Module | None] = []
        """All of these in their order, as they were found."""
        self._find()

    def set(self, *, training: bool) -> None:
        """Set the mode."""
        if [child for inner in self._inner for child in inner.values()] != self._children:
            self._find()
        attributes = self._attributes
        # A frozen norm layer has a `train` of its own.
        if not attributes or any("train" in own or "eval" in own for own in attributes):
            self._model.train(training)
            return
        for own in attributes:
            own["training"] = training

    def _find(self) -> None:
        modules = list(self._model.modules())
        self._attributes = list(map(vars, modules)) if all(map(_is_plain, modules)) else []
        self._inner = [own["_modules"] for own in self._attributes]
        self._children = [child for inner in self._inner for child in inner.values()]


def _is_plain(module: nn.Module) -> bool:
    kind = type(module)
    is_known = kind.__module__.startswith(_PLAIN)
    return is_known and kind.train is nn.Module.train and kind.eval is nn.Module.eval
