"""`Collation`: makes a batch of samples, by our rules or by a function of the user.

Layer: data. What comes out is held against the form of the first sample, whoever made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.problems.batch import (
    FRESH,
    IGNORED,
    LENGTHS,
    MASK,
    Batch,
    describe,
    is_on_host,
    lengths_of,
)
from tui_trainer.problems.problem import Sample

RESERVED = frozenset({LENGTHS, MASK, FRESH, "weight", "index"})
"""Names that a field of a sample cannot have."""


class CollationError(ValueError):
    """Samples that cannot be in one batch; the message says why."""


@dataclass(frozen=True, slots=True)
class Collation:
    """Turns the samples of a data set into a batch, by our rules or by a function of the user."""

    function: Callable[[list[Any]], Any] | None = None
    """Takes what the data set returned for each sample; returns a pair or a dict of tensors."""
    padding: Mapping[str, float] = field(default_factory=dict)
    """What a padded field is filled with, where that is not 0."""

    def sample(self, raw: Any, spec: SampleSpec | None) -> Any:
        """Return a sample as `batch` takes it; raises what is wrong with it."""
        if self.function is not None:
            return raw
        sample = as_sample(raw)
        return sample if spec is None else spec.conform(sample)

    def batch(self, samples: list[Any], spec: SampleSpec | None) -> Batch:
        """Return the batch of some samples.

        Raises:
            CollationError, SampleMismatch: the samples do not go together, or not with the first.
        """
        if self.function is None:
            return collate(samples, self.padding)
        batch = _as_batch(self.function(samples), len(samples))
        return batch if spec is None else spec.conform_batch(batch)


STANDARD = Collation()
"""Pads with zeros, and stacks."""


def _as_batch(made: Any, size: int) -> Batch:
    """Return what a user's function made of `size` samples, in the dtypes of a batch."""
    try:
        fields = fields_of(made)
        check_names(tuple(name for name in fields if not is_on_host(str(name))))
        batch = {
            name: typed(name, as_tensor(value, name), of_many=True)
            for name, value in fields.items()
        }
    except (TypeError, ValueError) as error:
        raise CollationError(f"collate: {error}") from error
    for name, value in batch.items():
        if value.dim() == 0 or len(value) != size:
            raise CollationError(
                f"collate returned {describe(value)} as {name} for {size} samples; the first "
                "dimension must be that of the samples"
            )
    return {name: value.cpu() if is_on_host(name) else value for name, value in batch.items()}


def collate(samples: Sequence[Sample], padding: Mapping[str, float] | None = None) -> Batch:
    """Return a batch of samples from `as_sample`.

    Values that differ only in their first dimension are padded: targets with IGNORED, and fields
    with zeros unless `padding` has another number. The lengths of a padded field are a field of the
    batch, too.

    Raises:
        CollationError: the names, shapes or dtypes do not go together.
    """
    names = samples[0].keys()
    for sample in samples:
        if sample.keys() != names:
            raise CollationError(f"samples have {', '.join(names)}, and {', '.join(sample)}")
    batch: Batch = {}
    lengths: Batch = {}
    for name in names:
        values = [sample[name] for sample in samples]
        _check_alike(values, name)
        is_target = name == "target"
        filling = IGNORED if is_target else (padding or {}).get(name, 0)
        batch[name] = _pad_and_stack(values, filling)
        if not is_target and len({value.shape for value in values}) > 1:
            lengths[lengths_of(name)] = torch.tensor([len(value) for value in values])
    return batch | lengths


def _pad_and_stack(tensors: Sequence[Tensor], filling: float) -> Tensor:
    if len({tensor.shape for tensor in tensors}) == 1:
        return torch.stack(list(tensors))
    longest = max(map(len, tensors))
    padded = tensors[0].new_full((len(tensors), longest, *tensors[0].shape[1:]), filling)
    for row, tensor in zip(padded, tensors, strict=True):
        row[: len(tensor)] = tensor
    return padded


def _check_alike(values: Sequence[Tensor], name: str) -> None:
    first = values[0]
    for other in values[1:]:
        if other.dtype != first.dtype or other.dim() != first.dim():
            raise CollationError(f"their {name} is {describe(first)}, and {describe(other)}")
        if other.shape[1:] != first.shape[1:]:
            raise CollationError(
                f"their {name} is {describe(first)}, and {describe(other)}; "
                "only the first dimension may differ"
            )
        if name == "target" and first.is_floating_point() and other.shape != first.shape:
            raise CollationError("numeric targets have different lengths")


def as_sample(sample: Any) -> Sample:
    """Convert what a data set returns to a sample: its fields by name, as tensors.

    A pair is (input, target), a single array is the input, and a mapping has the names itself.
    Floats become float32. Of an input, whole numbers become int64 tokens if it is a vector, and
    float32 otherwise; in other fields they become int64. Images of uint8 stay as they are, until
    they are on the device, and so do truth values, but those of a target become int64.
    """
    fields = fields_of(sample)
    check_names(tuple(fields))
    return {name: typed(name, as_tensor(value, name)) for name, value in fields.items()}


def fields_of(made: Any) -> dict[Any, Any]:
    """Return what a data set or a collate function returned by name; TypeError if it is neither."""
    if isinstance(made, Mapping):
        return dict(made)
    if isinstance(made, Tensor | np.ndarray):
        return {"input": made}
    if isinstance(made, tuple | list) and len(made) == 2:
        return {"input": made[0], "target": made[1]}
    size = f" of {len(made)}" if isinstance(made, tuple) else ""
    raise TypeError(
        "a sample is a pair (input, target), or a dict of names and values, not "
        f"{type(made).__name__}{size}"
    )


@cache
def check_names(names: tuple[object, ...]) -> None:
    """Raise ValueError for a name of a field that cannot be used."""
    for name in names:
        if not isinstance(name, str) or not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise ValueError(
                f"a field is called {name!r:.60}; names have small letters, digits and _, and "
                "begin with a letter"
            )
        if name in RESERVED or name.endswith((f"_{LENGTHS}", f"_{MASK}")):
            raise ValueError(f"the name {name} is reserved; give that field another name")
    if not set(names) - {"target"}:
        raise ValueError("a sample has no field but its target")


def typed(name: str, value: Tensor, *, of_many: bool = False) -> Tensor:
    """Return the value of a field in the dtype that a batch has; with `of_many` the values of many
    samples, which are in dimension 0.
    """
    dimensions = value.dim() - of_many
    if name == "target":
        if not value.is_floating_point():
            return value.long()
        return value.float().reshape(value.shape or (1,))
    if value.is_floating_point():
        return value.float()
    if value.dtype == torch.bool and name != "input":
        return value
    if value.dtype == torch.uint8 and dimensions > 1:
        # An image: a quarter of the bytes, until it is on the device.
        return value
    if name == "input" and dimensions != 1:
        return value.float()
    return value.long()


def as_tensor(value: Any, name: str) -> Tensor:
    """Return a value as a tensor; TypeError if it is not numbers."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        value = _of_torch(value)
    if isinstance(value, np.ndarray | np.generic | bool | int | float | list | tuple):
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"the {name} is not an array of numbers: {error}") from None
    raise TypeError(
        f"the {name} is of type {type(value).__name__}, not numbers; make it a tensor, or let "
        "Data(collate=function) do so"
    )


def _of_torch(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that torch takes: in the byte order of this machine, and a copy if it cannot
    be written to, as that of a picture, or runs backwards, as one that was mirrored.
    """
    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        return array.copy()
    return array
