"""`IteratedSplit`: samples that can only be read one after the other, and their batches.

Layer: data. Samples come in the iterable's own order. An iterable with `state_dict` and
`load_state_dict` resumes exactly where a checkpoint was saved; any other is read again from the
start of the epoch. It is read in this process, at most one batch ahead of training.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tui_trainer.data.base.random import (
    GeneratorStates,
    derive_seed,
    preserved_generators,
    seed_all,
)
from tui_trainer.data.base.split import BatchLost, Order, Ready
from tui_trainer.data.batches.collation import STANDARD, Collation, CollationError
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import place_of_samples, unreadable
from tui_trainer.data.batches.tensors import rank_slice
from tui_trainer.problems.batch import Batch, widened
from tui_trainer.problems.problem import SampleMismatch
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

MEASURED = -1
"""The epoch number of samples read for evaluation."""

_KEPT = 4
"""The states of this many batches are kept; training is never further behind the reader."""


@dataclass(frozen=True, slots=True, eq=False)
class IteratedSplit:
    """The samples of an iterable; implements `Split`."""

    dataset: Any
    """`iter(dataset)` gives pairs (input, target)."""
    samples: int
    """Samples per epoch."""
    seed: int = 0
    form: SampleSpec | None = None
    """The form every sample must have; None: any samples that can be batched together."""
    collation: Collation = STANDARD
    made_by: str = ""
    """The line of the function of the user's that made the iterable."""

    def __len__(self) -> int:
        return self.samples

    @property
    def nbytes(self) -> int:
        return 0

    @property
    def ready(self) -> Ready:
        return widened

    def to(self, device: torch.device | str) -> IteratedSplit:
        return self

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        order = Order(batch_size, self.seed)
        return IteratedBatches(self, order).epoch(MEASURED)

    def count(self, batch_size: int) -> int:
        return -(-self.samples // batch_size)

    def shuffled(self, order: Order) -> IteratedBatches:
        return IteratedBatches(self, order)

    def place(self) -> str:
        """Return the line of the user's code that its samples come from, to begin a message."""
        return place_of_samples(self.dataset, self.collation, "__iter__", self.made_by)


class IteratedBatches:
    """Batches in the order of an iterable; implements `Batches`, and records its position."""

    def __init__(self, split: IteratedSplit, order: Order) -> None:
        self._split = split
        self._order = order
        count, size = len(split), order.batch_size
        self.per_epoch = count // size if order.drop_last else -(-count // size)
        self.samples = min(count, self.per_epoch * size)
        self._states: deque[dict[str, Any]] = deque(maxlen=_KEPT + order.batch_size)
        self._restored: dict[str, Any] | None = None

    @property
    def ready(self) -> Ready:
        return widened

    def size(self, index: int) -> int:
        return min(self._order.batch_size, self.samples - index * self._order.batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Return the numbers of the samples in reading order, from 0."""
        start = index * self._order.batch_size
        return tuple(range(start, start + self.size(index)))

    def state(self, epoch: int, index: int) -> dict[str, Any] | None:
        """Return the state from which `restore` continues with batch `index` of an epoch.

        It is None if no such state is kept.
        """
        if index == 0:
            # The start of an epoch is recorded as the end of the one before.
            epoch, index = epoch - 1, self.per_epoch
        for state in self._states:
            if (state["epoch"], state["index"]) == (epoch, index):
                return state
        return None

    def restore(self, state: dict[str, Any]) -> None:
        """Let the next call of `epoch` begin where `state` was taken."""
        self._restored = state

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        restored, self._restored = self._restored, None
        begin = 0
        if restored is not None:
            self._split.dataset.load_state_dict(restored["dataset"])
            if (restored["epoch"], restored["index"]) == (epoch, start):
                begin = start
        if begin == 0 and hasattr(self._split.dataset, "set_epoch"):
            self._split.dataset.set_epoch(epoch)
        draws = _Draws(derive_seed(self._order.seed, "stream", epoch))
        if restored is not None and begin > 0:
            draws.states = GeneratorStates.from_dict(restored["rng"])
        reader = _Reader(self._split, draws)
        for index in range(begin, self.per_epoch):
            samples = [reader.sample() for _ in range(self.size(index))]
            # Recorded before the batch is trained on: the checkpoint after that step asks for it.
            self._record_state(epoch, index + 1, draws)
            if index < start:
                # Trained on before the run was interrupted; only read to get past it.
                continue
            yield self._batch(samples, index)

    def _batch(self, samples: list[Any], index: int) -> Batch:
        if self._order.world > 1:
            own_rows = rank_slice(
                slice(0, len(samples)), len(samples), self._order.rank, self._order.world
            )
            samples = samples[own_rows]
        try:
            return self._split.collation.batch(samples, self._split.form)
        except (CollationError, SampleMismatch) as error:
            place = self._split.place()
            raise BatchLost(f"{place}batch {index} of the iterable: {error}") from error
        except (Exception, SystemExit) as error:
            place = self._split.place()
            message = unreadable(f"batch {index} of the iterable", error, place)
            raise BatchLost(message, traceback.format_exc()) from error

    def _record_state(self, epoch: int, index: int, draws: _Draws) -> None:
        """Record the position before batch `index`; BadInput if the state is not plain values."""
        dataset = self._split.dataset
        if not keeps_state(dataset):
            return
        state = dataset.state_dict()
        _check_plain(state)
        entry = {"epoch": epoch, "index": index, "dataset": state, "rng": draws.states.to_dict()}
        self._states.append(entry)


class _Reader:
    """One pass over an iterable."""

    def __init__(self, split: IteratedSplit, draws: _Draws) -> None:
        self._split = split
        self._draws = draws
        self._read = 0
        with draws:
            self._iterator = iter(split.dataset)

    def sample(self) -> Any:
        """Return the next sample; BatchLost if there is none, or it cannot be read."""
        with self._draws:
            try:
                sample = self._split.collation.sample(next(self._iterator), self._split.form)
            except SampleMismatch as error:
                place = self._split.place()
                message = f"{place}sample {self._read} of the iterable: {error}"
                raise BatchLost(message) from error
            except StopIteration:
                raise BatchLost(
                    f"the iterable ended after {self._read:,} samples, but an epoch has "
                    f"{len(self._split):,}; give the right samples_per_epoch"
                ) from None
            except (Exception, SystemExit) as error:
                place = self._split.place()
                message = unreadable(f"sample {self._read} of the iterable", error, place)
                raise BatchLost(message, traceback.format_exc()) from error
        self._read += 1
        return sample


class _Draws:
    """A context in which an iterable has its own global generator states.

    Outside of it the generators are as if the iterable had drawn nothing.
    """

    def __init__(self, seed: int) -> None:
        with preserved_generators():
            seed_all(seed)
            self.states = GeneratorStates.capture()
        self._outside = self.states

    def __enter__(self) -> None:
        self._outside = GeneratorStates.capture()
        self.states.restore()

    def __exit__(self, *_: object) -> None:
        self.states = GeneratorStates.capture()
        self._outside.restore()


def keeps_state(dataset: Any) -> bool:
    """Whether an iterable can save and restore its position."""
    return hasattr(dataset, "state_dict") and hasattr(dataset, "load_state_dict")


def _check_plain(value: Any, where: str = "state_dict()") -> None:
    """Raise BadInput for a value that a checkpoint could not be loaded with again."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, f"a key of {where}")
            _check_plain(item, f"{where}[{clean(repr(key), 40)}]")
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item, where)
    elif not (value is None or type(value) in (bool, int, float, str) or isinstance(value, Tensor)):
        raise BadInput(
            f"the iterable's {where} is of type {type(value).__name__}; a checkpoint takes "
            "tensors, numbers, texts, lists and dicts"
        )
