"""Losses of the user's: `OwnLoss` is a function, `ModelLoss` is computed by the model.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from tui_trainer.config.plugin_loader import takes_targets
from tui_trainer.config.sections.section import TypedSection, values_of
from tui_trainer.config.user_code import place_of
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

Loss = Callable[[Any, Batch], Tensor]
"""Returns the mean loss, given the outputs of the model and the batch that they are for."""


class OwnLoss:
    """A loss of the user's, called with the settings in force; implements `Loss`."""

    def __init__(self, function: Callable[..., Any], section: TypedSection) -> None:
        self._function = function
        self._takes_targets = takes_targets(function)
        self.others: dict[str, Tensor] = {}
        """What the last call returned beside the loss, without gradients."""
        self.use(section)

    def use(self, section: TypedSection) -> None:
        """Use other settings from the next call on."""
        self._name = section.type
        self._settings = values_of(section)

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        target = batch["target"] if self._takes_targets else batch
        returned = self._function(outputs, target, **self._settings)
        if isinstance(returned, Mapping):
            numbers = {str(name): self._number(value) for name, value in returned.items()}
            if "loss" not in numbers:
                raise BadInput(
                    f"{clean(place_of(self._function), 300)}: loss {self._name} returned a dict "
                    f"without 'loss', only {clean(', '.join(numbers), 200)}"
                )
            loss = numbers.pop("loss")
            self.others = {name: number.detach() for name, number in numbers.items()}
            return loss
        self.others = {}
        return self._number(returned)

    def _number(self, value: Any) -> Tensor:
        if isinstance(value, Tensor) and not value.dim():
            return value
        found = describe(value) if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise BadInput(
            f"{clean(place_of(self._function), 300)}: loss {self._name} returned {found}; it "
            "should return the mean over the samples of the batch, a tensor that is a number"
        )


class ModelLoss:
    """The loss that a model returned with its outputs; implements `Loss`."""

    def __init__(self, subject: str) -> None:
        """Take the losses of a model; `subject` is its place and name, for messages."""
        self._subject = subject
        self.others: dict[str, Tensor] = {}
        """The other numbers that the model returned last, without gradients."""

    def __call__(self, outputs: Mapping[str, Any], batch: Batch) -> Tensor:
        loss = outputs.get("loss")
        if not isinstance(loss, Tensor) or loss.dim():
            raise BadInput(f"{self._subject} returned {_without_loss(outputs)}; {_WANTED}")
        # Models return more than numbers, such as hidden states; those are not recorded.
        self.others = {
            clean(name, 80): value.detach()
            for name, value in outputs.items()
            if name not in ("loss", "logits") and isinstance(value, Tensor) and not value.dim()
        }
        return loss


_WANTED = (
    "with loss=model it returns a dict, or an object, with 'loss', a tensor that is the mean over "
    "the samples of the batch, and 'logits'; its forward gets the target as a parameter target=None"
)


def _without_loss(outputs: Mapping[str, Any]) -> str:
    """Describe what a model returned in place of a loss."""
    loss = outputs.get("loss")
    if isinstance(loss, Tensor):
        return f"{describe(loss)} as its 'loss'"
    if loss is not None:
        return f"a {type(loss).__name__} as its 'loss'"
    names = clean(", ".join(name for name in outputs if name != "loss"), 200)
    return f"no 'loss', only {names}" if names else "no 'loss'"
