"""`OwnTransform`: changes training batches on their device by a function of the user's.

Layer: training. It comes after the changes of the data set, and draws from the same generator.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor

from tui_trainer.config.plugin_loader import TRANSFORM_FACTORIES
from tui_trainer.config.sections.section import TypedSection, values_of
from tui_trainer.config.user_code import place_of
from tui_trainer.problems.batch import Batch
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


class OwnTransform:
    """A transform with the settings in force; an `Augment`."""

    def __init__(self, section: TypedSection) -> None:
        self._function = TRANSFORM_FACTORIES[section.type]
        self._takes_generator = "generator" in inspect.signature(self._function).parameters
        self.use(section)

    def use(self, section: TypedSection) -> None:
        """Use other settings from the next batch on."""
        self._name = section.type
        self._settings = values_of(section)

    @property
    def place(self) -> str:
        """The file and line of its function."""
        return clean(place_of(self._function), 300)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return the changed batch.

        Raises:
            BadInput: it is not a batch with the same fields and samples.
        """
        drawn = {"generator": generator} if self._takes_generator else {}
        changed: object = self._function(dict(batch), **drawn, **self._settings)
        if isinstance(changed, dict) and _is_like(changed, batch):
            return changed
        names = changed if isinstance(changed, dict) else [type(changed).__name__]
        found = ", ".join(map(str, names))
        raise BadInput(
            f"{self.place}: transform {self._name} returned {clean(found, 200)}; it should return "
            f"the batch, a dict with {', '.join(batch)} and as many samples"
        )


def _is_like(changed: dict[str, object], batch: Batch) -> bool:
    return changed.keys() == batch.keys() and all(
        isinstance(value, Tensor) and len(value) == len(batch[name])
        for name, value in changed.items()
    )
