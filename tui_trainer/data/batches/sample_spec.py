"""`SampleSpec`: the form that every sample of a data set must have.

Layer: data. It is checked as a sample is read, in whichever process that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.problems.batch import Batch, describe, is_on_host
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.problems.signature import Kind, SampleField
from tui_trainer.problems.targets import check_range

_WHOLE = frozenset({int, np.int64, np.int32, np.int16, np.int8, np.uint8})
_FLOATS = frozenset({float, np.float64, np.float32})
NUMBERS = _WHOLE | _FLOATS
"""The types of plain numbers."""
_MOST = 3e38
"""Larger floats may not fit into a float32."""
NO_TARGET = torch.zeros(0, dtype=torch.int64)
"""The target of a sample that has none."""
_DIMENSIONS: dict[Kind, int] = {"features": 1, "image": 3, "sequence": 2, "tokens": 1}


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """The form that model and loss require of every sample; is sent to workers.

    The first sample sets the form. Without this check, torch would pad, broadcast or ignore a
    sample of another form, and silently train on something unintended.
    """

    info: DatasetInfo

    def conform(self, sample: Sample) -> Sample:
        """Return the sample with its target as the loss takes it; SampleMismatch if it differs."""
        names = self.info.names
        sample = self.completed(sample)
        if sample.keys() != {*names, "target"}:
            if "target" not in sample:
                raise SampleMismatch(f"it has no target, only {', '.join(sample)}")
            wanted = ", ".join((*names, "target"))
            raise SampleMismatch(f"it has {', '.join(sample)}, but the first sample had {wanted}")
        self.check_inputs(sample)
        return sample | {"target": self.target_of(sample)}

    def completed(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return the sample with an empty target if no problem needs one."""
        if self.info.problem == "none" and "target" not in sample:
            return sample | {"target": NO_TARGET}
        return sample

    def target_of(self, sample: Sample) -> Tensor:
        """Return the target of a sample as the loss takes it; SampleMismatch if it cannot be one.

        The inputs have been checked.
        """
        one, inputs = sample["target"][None], sample[self.info.names[0]][None]
        return kind_of(self.info).check(one, inputs, self.info)[0]

    def plain_target(self, target: Any) -> float | None:
        """Return a target that is a valid class, or one number to predict; None for any other.

        `target_of` returns the same number as a tensor, but that takes far longer.
        """
        if type(target) is Tensor and not target.dim():
            target = target.item()
        # A problem of a plugin, whose name is none of these, may store targets in another form.
        if self.info.problem == "classification":
            is_class = type(target) in _WHOLE and 0 <= target < len(self.info.classes)
            return int(target) if is_class else None
        if self.info.problem == "regression" and self.info.signature.outputs == 1:
            is_number = type(target) in _FLOATS and abs(target) < _MOST
            return float(target) if is_number else None
        return None

    def check_inputs(self, sample: Sample) -> None:
        """Raise SampleMismatch unless the inputs have the form of the first sample's."""
        names = self.info.names
        if missing := [name for name in names if name not in sample]:
            raise SampleMismatch(f"it has no {missing[0]}, only {', '.join(sample)}")
        self._check_first(names[0], sample[names[0]])
        self.check_tokens(sample)
        for field in self.info.fields[1:]:
            _check_field(field, sample[field.name])

    @property
    def has_tokens(self) -> bool:
        return self.info.signature.kind == "tokens"

    def check_tokens(self, sample: Sample) -> None:
        """Raise SampleMismatch if the first field has tokens that are none of the vocabulary's."""
        if self.has_tokens:
            tokens = sample[self.info.names[0]]
            check_range(tokens, self.info.signature.vocabulary, "a token", "tokens")

    def conform_batch(self, batch: Batch) -> Batch:
        """Return a batch that a user's function made, with its targets as the loss takes them."""
        names = self.info.names
        if self.info.problem == "none" and "target" not in batch:
            count = len(next(iter(batch.values())))
            batch = batch | {"target": NO_TARGET.expand(count, 0)}
        found = [name for name in batch if not is_on_host(name)]
        if {*found} != {*names, "target"}:
            raise SampleMismatch(
                f"collate returned {', '.join(found)}, and for the first sample "
                f"{', '.join((*names, 'target'))}"
            )
        first = batch[names[0]]
        self._check_first(names[0], first[0])
        self.check_tokens(batch)
        for field in self.info.fields[1:]:
            _check_field(field, batch[field.name][0])
        targets = kind_of(self.info).check(batch["target"], first, self.info)
        return batch | {"target": targets}

    def _check_first(self, name: str, inputs: Tensor) -> None:
        signature = self.info.signature
        kind, shape = signature.kind, signature.input_shape
        actual_shape = tuple(inputs.shape)
        has_length = kind in ("sequence", "tokens")
        fits = inputs.dim() == _DIMENSIONS[kind] and actual_shape[has_length:] == shape[has_length:]
        is_number = inputs.is_floating_point() or is_image(inputs)
        if not fits or is_number == (kind == "tokens"):
            numbers = "ints" if kind == "tokens" else "floats"
            expected = _shape_text(shape, has_length=has_length)
            raise SampleMismatch(_not_as_the_first(name, inputs, f"{expected} {numbers}"))
        if has_length and not len(inputs):
            raise SampleMismatch(f"the {name} has no steps")


def _check_field(field: SampleField, value: Tensor) -> None:
    shape, actual_shape = field.shape, tuple(value.shape)
    fits = len(shape) == len(actual_shape)
    fits = fits and actual_shape[field.has_length :] == shape[field.has_length :]
    dtype = "float32" if is_image(value) else str(value.dtype).removeprefix("torch.")
    if not fits or dtype != field.dtype:
        expected = _shape_text(shape, has_length=field.has_length)
        raise SampleMismatch(_not_as_the_first(field.name, value, f"{expected} of {field.dtype}"))
    if field.has_length and not len(value):
        raise SampleMismatch(f"the {field.name} has no steps")


def is_image(value: Tensor) -> bool:
    """Whether a value is an image of uint8, which becomes float32 on the device."""
    return value.dtype == torch.uint8 and value.dim() > 1


def _not_as_the_first(name: str, value: Tensor, expected: str) -> str:
    return (
        f"the {name} is {describe(value)}, but that of the first sample was {expected}; "
        "all must have the same form"
    )


def _shape_text(shape: Sequence[int], *, has_length: bool) -> str:
    sides = (["T"] if has_length else []) + list(map(str, shape[has_length:]))
    return "x".join(sides) or "a number"
