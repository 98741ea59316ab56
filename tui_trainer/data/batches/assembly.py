"""`Assembly`: makes a batch of samples, which are added as they are read or soon after.

Layer: data. Almost all data sets return samples of one form. Then only the first of a batch is
checked in full, the others by comparisons, and a worker stacks them in the shared memory in which
the batch is sent. All else goes through `Collation`, which gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from tui_trainer.data.batches.collation import Collation, as_tensor, fields_of, typed
from tui_trainer.data.batches.reused_memory import take_tensor
from tui_trainer.data.batches.sample_spec import NUMBERS, SampleSpec
from tui_trainer.problems.batch import Batch


class Assembly:
    """A batch in the making."""

    def __init__(self, collation: Collation, spec: SampleSpec | None) -> None:
        self._collation = collation
        self._spec = spec
        self._samples: list[Any] = []
        """The samples for `Collation`: all of them, or the first while they have one form."""
        self._columns: dict[str, _Column] = {}
        """The fields of all samples, while they have one form."""
        self._is_pair = False
        self._deferred: list[Any] = []
        """The newest samples, which are still to be added."""
        self._deferred_dtype: torch.dtype | None = None
        self.count = 0
        """The samples that have been added."""

    def defer(self, raw: Any) -> bool:
        """Take a sample to be added by `settle`; return whether it can wait.

        Between two samples, the user's code has emptied the processor's caches, and the same checks
        take twice as long as in a row. Values that would be converted cannot wait, because a data
        set may fill the same memory with the next sample.
        """
        if (
            type(raw) is tuple
            and len(raw) == 2
            and type(raw[0]) is Tensor
            and raw[0].dtype is self._deferred_dtype
            and type(raw[1]) in NUMBERS
        ):
            self._deferred.append(raw)
            return True
        return False

    def settle(self) -> None:
        """Add the samples that wait; as `add`, raises what is wrong with sample `count`."""
        waiting, self._deferred = self._deferred, []
        if waiting and not self._take_all(waiting):
            for raw in waiting:
                self._add(raw)

    def add(self, raw: Any) -> None:
        """Add what the data set returned for the next sample; raises what is wrong with it."""
        self.settle()
        self._add(raw)

    def _add(self, raw: Any) -> None:
        self._put(raw)
        self.count += 1

    def _put(self, raw: Any) -> None:
        if self._columns:
            if self._take(raw):
                return
            self._samples = self._taken()
            self._columns, self._deferred_dtype = {}, None
        self._samples.append(self._collation.sample(raw, self._spec))
        if len(self._samples) == 1 and self._collation.function is None:
            self._columns = {name: _Column(value) for name, value in self._samples[0].items()}
            self._is_pair = set(self._columns) == {"input", "target"}
            if self._is_pair and self._spec is not None:
                self._deferred_dtype = self._samples[0]["input"].dtype

    def batch(self) -> Batch:
        """Return the batch of all samples.

        Raises:
            CollationError, SampleMismatch: the samples do not go together, or not with the first.
        """
        if self._columns:
            return {name: column.stacked() for name, column in self._columns.items()}
        return self._collation.batch(self._samples, self._spec)

    def _taken(self) -> list[Any]:
        """Return the samples of the columns."""
        names = tuple(self._columns)
        columns = [column.tensors() for column in self._columns.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def _take_all(self, pairs: Sequence[Any]) -> bool:
        """Add some pairs that have the form of the first; return whether all of them have."""
        spec, column = self._spec, self._columns["input"]
        assert spec is not None, "without it no sample waits"
        inputs = [inputs for inputs, _ in pairs]
        numbers = [spec.plain_target(target) for _, target in pairs]
        if None in numbers or spec.has_tokens or not all(map(column.takes, inputs)):
            return False
        column.values += inputs
        self._columns["target"].values += numbers
        self.count += len(pairs)
        return True

    def _take(self, raw: Any) -> bool:
        """Add a sample that has the form of the first; return whether it has."""
        columns, spec = self._columns, self._spec
        if type(raw) is tuple and len(raw) == 2 and self._is_pair and spec is not None:
            # What most data sets return; the others take a few microseconds more.
            number = spec.plain_target(raw[1])
            if number is not None and columns["input"].takes(raw[0]):
                spec.check_tokens({"input": raw[0]})
                columns["input"].values.append(raw[0])
                columns["target"].values.append(number)
                return True
        fields = fields_of(raw)
        if spec is not None:
            fields = spec.completed(fields)
        if fields.keys() != columns.keys():
            return False
        values = {name: self._converted(name, value) for name, value in fields.items()}
        checked = spec is not None
        if not all(
            column.takes(values[name])
            for name, column in columns.items()
            if not (checked and name == "target")
        ):
            return False
        if spec is not None:
            spec.check_tokens(values)
            values["target"] = spec.target_of(values)
            if not columns["target"].takes(values["target"]):
                return False
        for name, value in values.items():
            columns[name].values.append(value)
        return True

    def _converted(self, name: str, value: Any) -> Tensor:
        if self._columns[name].takes(value):
            return cast(Tensor, value)
        return typed(name, as_tensor(value, name))


class _Column:
    """The values of a field: tensors of one form, and numbers in place of tensors of one number."""

    def __init__(self, first: Tensor) -> None:
        self._dtype, self._shape = first.dtype, first.shape
        self.values: list[Any] = [first]

    def takes(self, value: Any) -> bool:
        """Whether a value is a tensor of the form of the first."""
        return (
            type(value) is Tensor
            and value.dtype is self._dtype
            and value.shape == self._shape
            and not value.requires_grad
        )

    def tensors(self) -> list[Tensor]:
        """Return every value as a tensor."""
        return list(self.stacked()) if self._has_numbers else self.values

    @property
    def _has_numbers(self) -> bool:
        return any(type(value) is not Tensor for value in self.values)

    def stacked(self) -> Tensor:
        """Return the values as `torch.stack` does, in memory that is used again, or in a worker in
        shared memory.
        """
        values, shape = self.values, (len(self.values), *self._shape)
        if self._has_numbers:
            numbers = [value.item() if type(value) is Tensor else value for value in values]
            return torch.tensor(numbers, dtype=self._dtype).reshape(shape)
        # With more dimensions, torch.stack may choose another layout than that of a new tensor.
        if len(shape) <= 4 and values[0].is_cpu:
            make = take_tensor if get_worker_info() is None else _shared
            # Without space the batch is made all the same, and the attempt to send it says so.
            with suppress(RuntimeError):
                return torch.stack(values, out=make(shape, self._dtype))
        return torch.stack(values)


def _shared(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return a new tensor in shared memory; RuntimeError if there is no space for it."""
    size_bytes = math.prod(shape) * dtype.itemsize
    storage = torch.UntypedStorage._new_shared(size_bytes)  # type: ignore[no-untyped-call]
    return torch.tensor([], dtype=dtype).set_(storage).reshape(shape)
