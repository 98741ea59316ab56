"""`SampleMaker`: makes batches of samples of a map-style data set, in any process.

Layer: data. Before each sample torch, numpy and Python are seeded by (seed, purpose, epoch, index),
so random transforms give the same result in whichever process they run; afterwards the generators
are restored.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.config.user_code import describe_user_error
from tui_trainer.config.user_code import described as described_error
from tui_trainer.data.base.random import derive_seed, preserved_generators, seed_all
from tui_trainer.problems.batch import IGNORED, Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import KINDS
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.problems.signature import Kind
from tui_trainer.problems.targets import check_range
from tui_trainer.text.clean import clean


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

    Inputs that differ only in their first dimension are padded with zeros, and targets with one
    value per step are padded with IGNORED.

    Raises:
        ValueError: the shapes or dtypes do not go together.
    """
    inputs = [sample["input"] for sample in samples]
    targets = [sample["target"] for sample in samples]
    _check_alike(inputs, "inputs")
    _check_alike(targets, "targets")
    if targets[0].is_floating_point() and len({target.shape for target in targets}) > 1:
        raise ValueError("numeric targets have different lengths")
    lengths = torch.tensor([len(value) if value.dim() else 1 for value in inputs])
    if inputs[0].dim() == 0 or bool((lengths == lengths[0]).all()):
        return {"input": torch.stack(inputs), "target": _pad_and_stack(targets, IGNORED)}
    return {
        "input": _pad_and_stack(inputs, 0),
        "target": _pad_and_stack(targets, IGNORED),
        "lengths": lengths,
    }


def _pad_and_stack(tensors: Sequence[Tensor], filling: int) -> Tensor:
    if len({tensor.shape for tensor in tensors}) == 1:
        return torch.stack(list(tensors))
    longest = max(map(len, tensors))
    padded = tensors[0].new_full((len(tensors), longest, *tensors[0].shape[1:]), filling)
    for row, tensor in zip(padded, tensors, strict=True):
        row[: len(tensor)] = tensor
    return padded


def _check_alike(tensors: Sequence[Tensor], name: str) -> None:
    first = tensors[0]
    for other in tensors[1:]:
        if other.dtype != first.dtype or other.dim() != first.dim():
            raise ValueError(f"{name} are {describe(first)} and {describe(other)}")
        if other.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"{name} are {describe(first)} and {describe(other)}; "
                "only the first dimension may differ"
            )


def as_sample(sample: Any) -> Sample:
    """Convert input and target to batch dtypes: float32, or int64 for tokens and classes."""
    try:
        raw_input, raw_target = sample
    except (TypeError, ValueError):
        raise TypeError(
            f"a sample is a pair (input, target), not {type(sample).__name__}"
        ) from None
    inputs, target = _as_tensor(raw_input, "input"), _as_tensor(raw_target, "target")
    are_tokens = inputs.dim() == 1 and not inputs.is_floating_point()
    inputs = inputs.long() if are_tokens else inputs.float()
    if target.is_floating_point():
        target = target.float().reshape(target.shape or (1,))
    else:
        target = target.long()
    return {"input": inputs, "target": target}


def _as_tensor(value: Any, name: str) -> Tensor:
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
        self._check_input(sample["input"])
        return sample | {"target": KINDS[self.info.task].check(sample, self.info)}

    def _check_input(self, inputs: Tensor) -> None:
        signature = self.info.signature
        kind, shape = signature.kind, signature.input_shape
        actual_shape = tuple(inputs.shape)
        has_length = kind in ("sequence", "tokens")
        fits = inputs.dim() == _DIMENSIONS[kind] and actual_shape[has_length:] == shape[has_length:]
        if not fits or inputs.is_floating_point() == (kind == "tokens"):
            expected = "x".join(map(str, (["T"] if has_length else []) + list(shape[has_length:])))
            numbers = "ints" if kind == "tokens" else "floats"
            raise SampleMismatch(
                f"the input is {describe(inputs)}, but that of the first sample was {expected} "
                f"{numbers}; all must have the same form"
            )
        if has_length and not len(inputs):
            raise SampleMismatch("the input has no steps")
        if kind == "tokens":
            check_range(inputs, signature.vocabulary, "a token", "tokens")
