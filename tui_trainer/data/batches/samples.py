"""`SampleMaker`: makes batches of samples of a map-style data set, in any process.

Layer: data. Before each sample torch, numpy and Python are seeded by (seed, purpose, epoch, index),
so random transforms give the same result in whichever process they run; afterwards the generators
are restored.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.config.user_code import describe_user_error
from tui_trainer.config.user_code import described as described_error
from tui_trainer.data.base.random import derive_seed, preserved_generators, seed_all
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.problems.batch import (
    FRESH,
    IGNORED,
    LENGTHS,
    MASK,
    Batch,
    describe,
    lengths_of,
)
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.text.clean import clean

RESERVED = frozenset({LENGTHS, MASK, FRESH, "weight", "index"})
"""Names that a field of a sample cannot have."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Takes the place of a batch that cannot be made; is sent between processes."""

    message: str
    details: str = ""
    """The traceback."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleMaker:
    """Reads samples of a data set and collates them into batches."""

    dataset: Any
    """Has `__getitem__(index)`, and optionally `path(index)`, the file of a sample for messages."""
    seed: int
    purpose: str
    """Part of the seed; without it, samples of two splits would draw the same random numbers."""
    form: SampleSpec | None = None
    """The form every sample must have; None: any samples that can be batched together."""

    def make(self, epoch: int, indices: Sequence[int]) -> Batch | Failure:
        """Return the batch of these samples in this epoch, or a Failure that says what is wrong."""
        with worker_conditions():
            samples = []
            for index in indices:
                try:
                    seed_all(derive_seed(self.seed, self.purpose, epoch, index))
                    sample = as_sample(self.dataset[index])
                    samples.append(sample if self.form is None else self.form.conform(sample))
                except SampleMismatch as error:
                    location = f"sample {index} of the data set{self._describe_path(index)}"
                    return Failure(f"{location}: {error}")
                except (Exception, SystemExit) as error:
                    return self._failure(index, error)
            try:
                return collate(samples)
            except ValueError as error:
                return Failure(f"samples {_join_indices(indices)} of the data set: {error}")

    def _failure(self, index: int, error: BaseException) -> Failure:
        sample = f"sample {index} of the data set{self._describe_path(index)}"
        return Failure(unreadable(sample, error), traceback.format_exc())

    def _describe_path(self, index: int) -> str:
        path_of = getattr(self.dataset, "path", None)
        if not callable(path_of):
            return ""
        try:
            return f" ({clean(str(path_of(index)), 200)})"
        except Exception:
            # This only adds to a message about another error, which must not be lost.
            return ""


@contextmanager
def worker_conditions() -> Iterator[None]:
    """Restore the global generators afterwards, and compute with one thread, as a worker does.

    A sum over many numbers differs in its last bits with another number of threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with preserved_generators():
            yield
    finally:
        torch.set_num_threads(threads)


def collate(samples: Sequence[Sample]) -> Batch:
    """Return a batch of samples from `as_sample`.

    Values that differ only in their first dimension are padded with zeros, and targets with
    IGNORED. The lengths of a padded field are a field of the batch, too.

    Raises:
        ValueError: the names, shapes or dtypes do not go together.
    """
    names = samples[0].keys()
    for sample in samples:
        if sample.keys() != names:
            raise ValueError(f"samples have {', '.join(names)}, and {', '.join(sample)}")
    batch: Batch = {}
    lengths: Batch = {}
    for name in names:
        values = [sample[name] for sample in samples]
        _check_alike(values, name)
        is_target = name == "target"
        batch[name] = _pad_and_stack(values, IGNORED if is_target else 0)
        if not is_target and len({value.shape for value in values}) > 1:
            lengths[lengths_of(name)] = torch.tensor([len(value) for value in values])
    return batch | lengths


def _pad_and_stack(tensors: Sequence[Tensor], filling: int) -> Tensor:
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
            raise ValueError(f"their {name} is {describe(first)}, and {describe(other)}")
        if other.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"their {name} is {describe(first)}, and {describe(other)}; "
                "only the first dimension may differ"
            )
        if name == "target" and first.is_floating_point() and other.shape != first.shape:
            raise ValueError("numeric targets have different lengths")


def as_sample(sample: Any) -> Sample:
    """Convert what a data set returns to a sample: its fields by name, as tensors.

    A pair is (input, target), a single array is the input, and a mapping has the names itself.
    Floats become float32. Of an input, whole numbers become int64 tokens if it is a vector, and
    float32 otherwise; in other fields they become int64, and images of uint8 float32. Truth values
    stay as they are, but those of a target become int64.
    """
    if isinstance(sample, Mapping):
        fields = dict(sample)
    elif isinstance(sample, Tensor | np.ndarray):
        fields = {"input": sample}
    elif isinstance(sample, tuple | list) and len(sample) == 2:
        fields = {"input": sample[0], "target": sample[1]}
    else:
        raise TypeError(
            "a sample is a pair (input, target), or a dict of names and values, not "
            f"{type(sample).__name__}{f' of {len(sample)}' if isinstance(sample, tuple) else ''}"
        )
    check_names(tuple(fields))
    return {name: typed(name, as_tensor(value, name)) for name, value in fields.items()}


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


def typed(name: str, value: Tensor) -> Tensor:
    """Return the value of a field, or all values of it, in the dtype that a batch has."""
    if name == "target":
        if not value.is_floating_point():
            return value.long()
        return value.float().reshape(value.shape or (1,))
    if value.is_floating_point():
        return value.float()
    if value.dtype == torch.bool and name != "input":
        return value
    is_image = value.dtype == torch.uint8 and value.dim() > 1
    if is_image or (name == "input" and value.dim() != 1):
        return value.float()
    return value.long()


def as_tensor(value: Any, name: str) -> Tensor:
    """Return a value as a tensor; TypeError if it is not numbers."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray | np.generic | bool | int | float | list | tuple):
        try:
            return torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"the {name} is not an array of numbers: {error}") from None
    raise TypeError(f"the {name} is of type {type(value).__name__}, not numbers; make it a tensor")


def unreadable(sample: str, error: BaseException) -> str:
    """Say that a sample cannot be read, with the line of the user's code first if it is known."""
    if text := describe_user_error(error):
        return f"{text}; {sample} cannot be read"
    return f"{sample} cannot be read: {described_error(error)}"


def _join_indices(indices: Sequence[int]) -> str:
    shown = ", ".join(map(str, indices[:8]))
    return shown if len(indices) <= 8 else f"{shown} and {len(indices) - 8} more"
