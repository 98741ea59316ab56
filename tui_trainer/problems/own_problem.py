"""`OwnKind`: a problem of a plugin, with the methods of another one that its class leaves out.

Layer: problems. The class of the user is put before that of the other problem, so that `super()` in
it reaches the methods of that. Whatever its code does wrong is said with its line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.plugin_loader import PROBLEM_CLASSES
from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.settled_objects import guarded, use_settings
from tui_trainer.config.user_code import describe_error_near, described, place_of
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.own_predictions import predictions_of
from tui_trainer.problems.problem import Prediction, Result, SampleMismatch, Totals
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, TrainerError

_ADVICE = (
    "{name!r} of a problem cannot be set, because checkpoints would not have it: count in the "
    "object that totals returns"
)


class OwnKind:
    """A problem of the user's; implements `ProblemKind`."""

    def __init__(self, name: str, base: type, settings: Mapping[str, Any]) -> None:
        """Make the object of its class.

        Args:
            name: of a problem that a plugin registered.
            base: the class that it has the rest from.
            settings: the values of its attributes.
        """
        made_by = PROBLEM_CLASSES[name]
        self.name = name
        self._methods = PROBLEMS[name].own_methods
        self._place = clean(place_of(made_by), 300)
        self._self: Any = None
        with_base = type(made_by.__name__, (made_by, base), {"name": name})
        with_base.__module__, with_base.__qualname__ = made_by.__module__, made_by.__qualname__
        self._self = self._guarded("__init__", guarded(with_base, _ADVICE))
        use_settings(self._self, settings)
        self._self._is_made = True
        self.why_no_predictions: str = self._self.why_no_predictions
        if "decode" in self._methods:
            self.why_no_predictions = ""

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        """Return targets as its code stores them; its ValueError says that a target is wrong."""
        try:
            checked = self._self.check(targets, inputs, info)
        except SampleMismatch:
            raise
        except ValueError as error:
            raise SampleMismatch(f"{described(error)} ({self._subject('check')})") from error
        except Exception as error:
            raise self._blamed("check", error) from error
        if not isinstance(checked, Tensor) or len(checked) != len(targets):
            raise BadInput(
                f"{self._place}: {self._subject('check')} returned {_type_of(checked)} for "
                f"{len(targets)} targets; it should be a tensor with one for each"
            )
        return checked

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        size = self._guarded("head", self._self.head, target, info)
        if type(size) is not int or size < 1:
            raise BadInput(
                f"{self._place}: {self._subject('head')} returned {clean(repr(size), 80)}; it "
                "should be how many numbers a model gives for a sample, an int from 1"
            )
        return size

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        counted = self._guarded(
            "totals", self._self.totals, info, device, tuple(extras), with_result=with_result
        )
        if "totals" not in self._methods:
            return counted  # type: ignore[no-any-return]
        wanted = (*PROBLEMS[self.name].metrics, *extras)
        return OwnTotals(counted, wanted, self)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        returned = self._guarded("decode", self._self.decode, outputs, info)
        subject = f"{self._place}: {self._subject('decode')}"
        return predictions_of(returned, len(outputs), subject)

    def combine(self, outputs: Tensor) -> Tensor | None:
        combined: Tensor | None = self._guarded("combine", self._self.combine, outputs)
        return combined

    def guarded_totals(self, method: str, totals: Any, *arguments: Any) -> Any:
        """Call a method of what its `totals` returned."""
        function = getattr(totals, method, None)
        if function is None:
            raise BadInput(
                f"{self._place}: {self._subject('totals')} returned a {type(totals).__name__}, "
                f"which has no {method}; it needs update(outputs, batch, loss) and compute()"
            )
        return self._guarded(f"{method} of totals", function, *arguments)

    def refused(self, text: str) -> BadInput:
        """Return the error for something that it does wrong."""
        return BadInput(f"{self._place}: the problem {self.name} {text}")

    def _guarded(self, method: str, function: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except (TrainerError, SampleMismatch, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise self._blamed(method, error) from error

    def _blamed(self, method: str, error: Exception) -> BadInput:
        return BadInput(f"{describe_error_near(error, self._place)} ({self._subject(method)})")

    def _subject(self, method: str) -> str:
        return f"{method} of the problem {self.name}"


class OwnTotals:
    """Wraps the totals of a plugin's problem, and adds the loss; implements `Totals`."""

    def __init__(self, counted: Any, wanted: Sequence[str], kind: OwnKind) -> None:
        self._counted = counted
        self._wanted = wanted
        self._kind = kind
        self._loss: Tensor | None = None
        self._count = 0

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        self._kind.guarded_totals("update", self._counted, outputs, batch, loss)
        count = len(batch["target"])
        total = loss.double() * count
        self._loss = total if self._loss is None else self._loss + total
        self._count += count

    def compute(self) -> dict[str, float]:
        computed = self._kind.guarded_totals("compute", self._counted)
        if not isinstance(computed, Mapping):
            raise self._kind.refused(f"computes a {type(computed).__name__}, not numbers by name")
        assert self._loss is not None, "a split has at least one batch"
        # Weighted by samples, as a loss is a mean over them.
        numbers = {"loss": (self._loss / self._count).item()}
        for name, value in computed.items():
            if isinstance(value, Tensor) and value.numel() != 1:
                raise self._kind.refused(f"computes {describe(value)} as {name!r}, not a number")
            try:
                numbers[str(name)] = float(value)
            except (TypeError, ValueError) as error:
                text = f"computes a {type(value).__name__} as {clean(str(name), 80)!r}"
                raise self._kind.refused(f"{text}, not a number") from error
        if missing := [name for name in self._wanted if name not in numbers]:
            raise self._kind.refused(
                f"computes {clean(', '.join(numbers), 200)}, and no {missing[0]}; its totals "
                "compute all of its metrics, which @problem(..., better={...}) names, and those "
                "of training.metrics"
            )
        return numbers

    def result(self) -> Result | None:
        if not hasattr(self._counted, "result"):
            return None
        result = self._kind.guarded_totals("result", self._counted)
        if result is not None and not isinstance(result, Result):
            raise self._kind.refused(f"has a result that is a {type(result).__name__}")
        return result


def _type_of(value: object) -> str:
    return describe(value) if isinstance(value, Tensor) else f"a {type(value).__name__}"
