"""`DataFeed`: supplies the batches of a training run, as configured by the `loader` section.

Layer: data. A batch is the same whether this process or a worker makes it, and for any number of
workers; only the time it takes differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.base.split import Batches, Order, Split
from tui_trainer.data.batches.iterated import IteratedSplit
from tui_trainer.data.batches.mapped import LoadedBatches, MapSplit
from tui_trainer.data.batches.read_rows import ReadSplit
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.problems.batch import Batch

SHARE_OF_MEMORY = 0.5
"""The share of a GPU's free memory that the data may take; the rest is for training."""


class DataFeed:
    """Owns the workers of one training run, and decides which splits are read through them."""

    def __init__(self, settings: LoaderSection, device: torch.device, seed: int) -> None:
        on_cuda = device.type == "cuda"
        pin = settings.pin_memory == "always" or (settings.pin_memory == "auto" and on_cuda)
        self.pool = WorkerPool(settings, pin=pin and on_cuda)
        self._settings = settings
        self._device = device
        self._seed = seed

    def prepare(self, data: Dataset) -> Dataset:
        """Return the data with its tensors moved to the device, if they are to be resident there,
        and with map-style splits read through the workers.
        """
        parts: dict[str, Split] = {"train": data.train, "val": data.val, "test": data.test}
        resident = self._is_resident(data)
        for name, split in parts.items():
            if isinstance(split, MapSplit):
                parts[name] = split.through(self.pool, name, self._seed)
            elif isinstance(split, ReadSplit):
                parts[name] = split.through(self.pool, name)
            elif resident:
                parts[name] = split.to(self._device)
        return replace(
            data,
            train=parts["train"],
            val=parts["val"],
            test=parts["test"],
            notes=(*data.notes, *self._notes(data.train)),
        )

    def _notes(self, train: Split) -> list[str]:
        """Return a note if workers were requested but are of no use to the training data."""
        workers = self._settings.num_workers
        reason = ""
        if isinstance(train, TextSplit):
            reason = "cutting a batch out of a text in memory is faster than sending it"
        if isinstance(train, TensorSplit) and train.places is not None:
            reason = "samples that are mapped into memory are gathered faster than sent"
        if isinstance(train, IteratedSplit):
            reason = "an iterable is read in order, by the training process itself"
        if not workers or not reason:
            return []
        return [f"loader.num_workers={workers} is not used for the training data: {reason}"]

    def batches(self, split: Split, order: Order) -> Batches:
        """Return the training batches of `split`, made by workers if there are any."""
        if not self._uses_workers(split):
            return split.shuffled(order)
        assert isinstance(split, TensorSplit), "other splits have workers of their own"
        self.pool.add("train", TensorMaker(split))
        return LoadedBatches(
            self.pool, "train", split.rows, order, lengths=split.lengths, by_row=False
        )

    @contextmanager
    def workers(self, interrupted: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keep the workers available inside the block, and end them afterwards.

        A wait for a batch is abandoned once `interrupted` returns True.
        """
        self.pool.interrupted = interrupted
        try:
            yield
        finally:
            self.pool.close()

    def _uses_workers(self, split: Split) -> bool:
        """Whether workers gather the batches of a split from memory; those shared are not sent."""
        is_own = isinstance(split, TensorSplit) and split.places is None
        return is_own and self._settings.num_workers > 0

    def _is_resident(self, data: Dataset) -> bool:
        if self._device.type != "cuda":
            return True
        if self._uses_workers(data.train) or self._settings.device_resident == "never":
            return False
        if self._settings.device_resident == "always":
            return True
        needed = sum(split.nbytes for split in (data.train, data.val, data.test))
        free, _ = torch.cuda.mem_get_info(self._device)
        return needed <= SHARE_OF_MEMORY * free


@dataclass(frozen=True, slots=True, eq=False)
class TensorMaker:
    """Makes batches from tensors in memory, bit for bit those of `TensorBatches`."""

    split: TensorSplit

    def make(self, epoch: int, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return self.split.batch_at(chosen, chosen)

    def remade(self) -> TensorMaker:
        return self
