"""`Form`: what every sample of a user's data set has to be, so that model and loss can take it.

Layer: data. The first sample says it; torch itself would pad, broadcast or leave out one that is
otherwise, and train on something that nobody meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tui_trainer.config.metrics import Task
from tui_trainer.data.batch import IGNORED
from tui_trainer.data.signature import Kind, Signature

_DIMENSIONS: dict[Kind, int] = {"features": 1, "image": 3, "sequence": 2, "tokens": 1}

Sample = tuple[Tensor, Tensor]


class Misfit(ValueError):
    """A sample that is not as the others; the message says in what."""


@dataclass(frozen=True, slots=True)
class Form:
    """The inputs of a signature and the targets of a task; travels to workers."""

    signature: Signature
    task: Task

    def fitted(self, sample: Sample) -> Sample:
        """The sample with its target as the loss takes it; Misfit when it is another thing."""
        inputs, target = sample
        self._check_input(inputs)
        if self.task == "regression":
            return inputs, _number(target)
        if target.is_floating_point():
            raise Misfit(f"the target is {described(target)}; classes are ints, from 0")
        if self.task == "classification":
            return inputs, self._class(target)
        self._check_tokens(inputs, target)
        return sample

    def _check_input(self, inputs: Tensor) -> None:
        kind, shape = self.signature.kind, self.signature.input_shape
        found = tuple(inputs.shape)
        has_length = kind in ("sequence", "tokens")
        fits = inputs.dim() == _DIMENSIONS[kind] and found[has_length:] == shape[has_length:]
        if not fits or inputs.is_floating_point() == (kind == "tokens"):
            first = "x".join(map(str, (["T"] if has_length else []) + list(shape[has_length:])))
            numbers = "ints" if kind == "tokens" else "floats"
            raise Misfit(
                f"the input is {described(inputs)}, and that of the first sample was {first} "
                f"{numbers}; all must be alike"
            )
        if has_length and not len(inputs):
            raise Misfit("the input has no steps")
        if kind == "tokens":
            _check_range(inputs, self.signature.vocabulary, "a token", "tokens")

    def _class(self, target: Tensor) -> Tensor:
        if target.numel() != 1:
            raise Misfit(f"the target is {described(target)}; it should be one class, as an int")
        one = target.reshape(())
        _check_range(one, self.signature.outputs, "the target", "classes")
        return one

    def _check_tokens(self, inputs: Tensor, target: Tensor) -> None:
        if target.shape != inputs.shape[:1]:
            raise Misfit(
                f"the target is {described(target)} for an input of {len(inputs)} steps; it needs "
                "a token for each"
            )
        _check_range(target[target != IGNORED], self.signature.outputs, "a target", "tokens")


def described(tensor: Tensor) -> str:
    """Shape and numbers of a tensor in words."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{'x'.join(map(str, tensor.shape)) or 'a number'} of {kind}"


def _number(target: Tensor) -> Tensor:
    """One number as (1,) float32; an int is one, which PyTorch would spread over the batch."""
    if target.numel() != 1:
        raise Misfit(f"the target is {described(target)}; it should be one number to predict")
    return target.float().reshape(1)


def _check_range(numbers: Tensor, count: int, name: str, noun: str) -> None:
    if not numbers.numel():
        return
    if numbers.dim() == 0:
        # Most samples have one class; comparing tensors would take longer than reading some.
        low = high = int(numbers)
    else:
        low, high = (int(number) for number in numbers.aminmax())
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise Misfit(f"{name} is {wrong}, and {noun} go from 0 to {count - 1}")
