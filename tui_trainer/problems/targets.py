"""Checks of targets and tokens that several problems share.

Layer: problems.
"""

from __future__ import annotations

from torch import Tensor

from tui_trainer.problems.batch import IGNORED, describe
from tui_trainer.problems.problem import SampleMismatch


def check_is_whole(targets: Tensor) -> None:
    """Raise SampleMismatch for targets (N, ...) of floats, where classes are needed."""
    if targets.is_floating_point():
        raise SampleMismatch(f"the target is {describe(targets[0])}; classes are ints, from 0")


def check_steps(targets: Tensor, inputs: Tensor, noun: str) -> None:
    """Raise SampleMismatch unless there is a target (N, T) for each step of the inputs."""
    if targets.shape != inputs.shape[:2]:
        raise SampleMismatch(
            f"the target is {describe(targets[0])} for an input of {inputs.shape[1]} steps; it "
            f"needs one {noun} per step"
        )


def without_ignored(targets: Tensor, ignored: int | None) -> Tensor:
    """Return the targets with IGNORED in place of the number that is ignored in these data."""
    return targets if ignored is None else targets.masked_fill(targets == ignored, IGNORED)


def check_places(targets: Tensor, count: int) -> None:
    """Raise SampleMismatch for targets of steps or pixels that are no classes, and not IGNORED."""
    try:
        # Of those of a sample any may be wrong, so it is always one of several.
        check_range(targets[targets != IGNORED], count, "a target", "classes")
    except SampleMismatch as error:
        raise SampleMismatch(f"{error}; problem.ignore leaves a number out") from None


def name_of(targets: Tensor) -> str:
    """Return how a message names one of the targets (N, ...): the only one is the target."""
    return "the target" if len(targets) == 1 else "a target"


def check_range(numbers: Tensor, count: int, name: str, noun: str) -> None:
    """Raise SampleMismatch if one of the numbers is not from 0 to `count` - 1."""
    if not numbers.numel():
        return
    if numbers.numel() == 1:
        # Most samples have one class; reducing a tensor would take longer than reading a sample.
        low = high = int(numbers)
    else:
        low, high = (int(number) for number in numbers.aminmax())
    if low < 0 or high >= count:
        value = low if low < 0 else high
        raise SampleMismatch(f"{name} is {value}, and {noun} go from 0 to {count - 1}")
