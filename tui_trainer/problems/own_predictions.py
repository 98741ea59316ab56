"""`predictions_of`: checks what a plugin's code says is predicted: texts, numbers, pictures, masks.

Layer: problems.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from tui_trainer.problems.batch import describe
from tui_trainer.problems.problem import Prediction, Value
from tui_trainer.text.errors import BadInput

_FORMS = (
    "a text, a number, a list of these, numbers by name, a mask (H, W) of whole numbers from 0, or "
    "a picture (C, H, W) of floats from 0 to 1 with 1 or 3 channels"
)


def predictions_of(returned: Any, count: int, subject: str) -> list[Prediction]:
    """Return the predictions for the samples of a batch.

    `returned` is a list or a tensor with a value for each; `subject` begins messages.

    Raises:
        BadInput: there are more or fewer, or one of them is nothing that can be shown.
    """
    if not isinstance(returned, Iterable) or isinstance(returned, str | dict):
        raise BadInput(f"{subject} returned {_type_of(returned)}; it should be a list of values")
    values = list(returned)
    if len(values) != count:
        raise BadInput(f"{subject} returned {len(values)} values for {count} samples")
    predictions = [_prediction_of(value) for value in values]
    for value, prediction in zip(values, predictions, strict=True):
        if prediction is None:
            raise BadInput(f"{subject} returned {_type_of(value)}; a value is {_FORMS}")
    return [prediction for prediction in predictions if prediction is not None]


def _type_of(value: object) -> str:
    return describe(value) if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _prediction_of(value: Any) -> Prediction | None:
    """Return what a value means, or None if it is none of the forms."""
    if isinstance(value, Prediction):
        return value
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        if value.dim() > 1:
            return _picture_of(value)
        value = value.tolist()
    plain = _plain_value(value)
    return None if plain is None else Prediction(plain, {})


def _picture_of(values: Tensor) -> Prediction | None:
    if values.dim() == 2 and not values.is_floating_point() and values.dtype != torch.bool:
        numbers, counts = torch.unique(values, return_counts=True)
        if not len(numbers) or int(numbers[0]) < 0 or int(numbers[-1]) >= 2**16:
            return None
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        shares = {str(number): count / values.numel() for number, count in pairs}
        mask = values.to(torch.uint8 if int(numbers[-1]) < 256 else torch.int32)
        return Prediction(shares, dict(sorted(shares.items(), key=lambda share: -share[1])), mask)
    if values.dim() == 3 and values.is_floating_point() and values.shape[0] in (1, 3):
        mean = values.double().mean().item()
        return Prediction({"mean": mean}, {}, picture=values.float().clamp(0, 1))
    return None


def _plain_value(value: Any) -> Value | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, Real):
        return _plain_number(value)
    if isinstance(value, dict):
        if not all(isinstance(number, Real) for number in value.values()):
            return None
        return {str(name): _plain_number(number) for name, number in value.items()}
    if not isinstance(value, list | tuple):
        return None
    if all(isinstance(word, str) for word in value):
        return list(value)
    are_numbers = all(isinstance(number, Real) for number in value)
    return list(map(_plain_number, value)) if are_numbers else None


def _plain_number(value: Real) -> float:
    """Return a number, also one of numpy, as an int if it is whole by its type, or as a float."""
    return int(value) if isinstance(value, Integral) else float(value)
