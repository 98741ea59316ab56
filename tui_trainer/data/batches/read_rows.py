"""`ReadSplit`: rows whose inputs are read from files while training, and their batches.

Layer: data. Batches are made by a pool, as those of a plugin's data set. A row is known by its
number in the run, so that the order of an epoch does not depend on files that came or went.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.split import Order, Ready, SampleLost
from tui_trainer.data.batches.left_out import MANY, LeftOut, lost_field
from tui_trainer.data.batches.mapped import MEASURED, LoadedBatches
from tui_trainer.data.batches.samples import Failure
from tui_trainer.data.batches.tensors import Scaling, classes_of
from tui_trainer.data.batches.worker_process import BatchRequest
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.problems.batch import Batch
from tui_trainer.text.clean import clean


class SampleReader(Protocol):
    """Reads the inputs of the rows of a source; is sent to workers."""

    def name(self, row: int) -> str:
        """Return the name of the file of a row, as it is."""
        ...

    def read(self, row: int) -> tuple[Tensor, Tensor | None]:
        """Return the inputs of a row, and its mask (H, W) if it has one, as uint8.

        Raises:
            SampleLost: its file cannot be read, or is another one by now.
            OSError: no file can be read at the moment.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RowReader:
    """Makes batches of the rows of a run; implements `BatchBuilder`."""

    reader: SampleReader
    rows: Tensor
    """(R,) int64: the row of the source for each row of the run; -1: it is gone."""
    targets: Tensor
    """(R, ...) as a model learns them; of no use if there are masks."""
    shape: tuple[int, ...]
    """Of the inputs of a row."""
    skips: bool
    """Whether a row that cannot be read is left out of its batch; if not, the batch is lost."""
    classes: Tensor | None = None
    """(256,) uint8: the class of each number in a mask; None: there are no masks."""

    def make(self, epoch: int, indices: Sequence[int]) -> Batch | Failure:
        """Return the batch of some rows of the run; those that cannot be read are in a field."""
        inputs, masks, kept = [], [], []
        lost: list[tuple[int, str, str]] = []
        for index in indices:
            row = int(self.rows[index])
            try:
                sample, mask = self.reader.read(row)
            except SampleLost as error:
                lost.append((index, self.reader.name(row), str(error)))
                continue
            except OSError as error:
                file = clean(self.reader.name(row), 200)
                reason = clean(error.strerror or str(error), 120).lower()
                return Failure(f"{file}: no file can be read: {reason}")
            kept.append(index)
            inputs.append(sample)
            masks.append(mask)
        if lost and (failure := self._failure(lost, len(indices))):
            return failure
        targets = self.targets[torch.tensor(kept, dtype=torch.int64)]
        if self.classes is not None:
            targets = self._classes(masks)
        return {"input": _stacked(inputs, self.shape), "target": targets, **lost_field(lost)}

    def remade(self) -> RowReader:
        return self

    def _classes(self, masks: Sequence[Tensor | None]) -> Tensor:
        """Return the classes (B, H, W) of the pixels, uint8."""
        assert self.classes is not None, "there are masks"
        there = [mask for mask in masks if mask is not None]
        return self.classes[_stacked(there, self.shape[1:]).long()]

    def _failure(self, lost: Sequence[tuple[int, str, str]], asked: int) -> Failure | None:
        """Return why rows that cannot be read are not left out; None if they are."""
        _, file, reason = lost[0]
        shown = f"{clean(file, 200)} {clean(reason, 200)}"
        if not self.skips:
            return Failure(f"{shown}; dataset.broken=skip leaves such files out")
        if len(lost) == asked >= MANY:
            return Failure(
                f"none of the {asked} files of a batch can be read, the first one {shown}: is "
                "their disk still there?"
            )
        return None


def _stacked(samples: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Return samples of a shape as one tensor, of which there may be none."""
    return torch.stack([*samples]) if samples else torch.empty((0, *shape), dtype=torch.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class ReadSplit:
    """Rows that are read while training; implements `Split`."""

    maker: RowReader
    rows: Tensor
    """(N,) int64, on the CPU: the numbers of its rows among those of the run."""
    left_out: LeftOut
    """Of the whole data set; its splits share it."""
    scaling: Scaling
    ignored: int | None = None
    """The number in uint8 targets that stands for IGNORED; None: no number."""
    pool: WorkerPool | None = None
    """The pool that reads the rows; None: one without workers is made when needed."""
    part: str = "rows"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return 0

    @property
    def targets(self) -> Tensor:
        """The targets of the rows that are not left out; of no use if there are masks.

        The target of a row that was gone when the data were read is not known.
        """
        present = self.left_out.present(self.rows.tolist())
        return self.maker.targets[torch.tensor(present, dtype=torch.int64)]

    @property
    def ready(self) -> Ready:
        return self._ready

    def _ready(self, batch: Batch) -> Batch:
        targets = batch["target"]
        if targets.dtype == torch.uint8:
            targets = classes_of(targets, self.ignored)
        return {**batch, "input": self.scaling(batch["input"]), "target": targets}

    def to(self, device: torch.device | str) -> ReadSplit:
        return self

    def through(self, pool: WorkerPool, part: str) -> ReadSplit:
        """Return the split read by a pool."""
        pool.add(part, self.maker)
        return replace(self, pool=pool, part=part)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        split = self._readable()
        assert split.pool is not None, "a readable split has a pool"
        # Cut before rows are left out: a batch has the same rows whenever one of them was lost.
        parts = (
            self.left_out.present(part.tolist()) for part in torch.split(self.rows, batch_size)
        )
        requests = (BatchRequest(split.part, MEASURED, part) for part in parts if part)
        for batch in split.pool.draw(requests):
            taken = self.left_out.received(batch)
            if len(taken["target"]):
                yield taken

    def count(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def shuffled(self, order: Order) -> LoadedBatches:
        split = self._readable()
        assert split.pool is not None, "a readable split has a pool"
        return LoadedBatches(
            split.pool, split.part, self.rows, order, left_out=self.left_out, ready=self.ready
        )

    def _readable(self) -> ReadSplit:
        return self if self.pool is not None else self.through(WorkerPool(LoaderSection()), "rows")
