"""`LeftOut`: the samples of a run whose files could not be read; they stay out of it.

Layer: data. A sample is known by its number among the rows of the run, which is the same at every
resume. Whoever makes a batch says in a field of it which samples it lacks, and why; the training
process takes that field out again. So the samples of a later batch do not depend on how far ahead
workers read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from tui_trainer.data.base.split import BatchLost
from tui_trainer.problems.batch import Batch
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

LOST = "lost"
"""The field of a batch with the samples that it lacks: JSON as uint8."""
MANY = 8
"""If all files of a batch of so many cannot be read, or most of so many in all, their disk is gone,
and it is not the files that are broken."""
_MOST_NAMED = 3


def lost_field(lost: Sequence[tuple[int, str, str]]) -> Batch:
    """Return the field for samples that a batch lacks: their rows, files and reasons."""
    if not lost:
        return {}
    text = json.dumps(lost).encode()
    return {LOST: torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())}


class LeftOut:
    """The samples that are left out of a run; belongs to the trainer thread."""

    def __init__(self, count: int, noun: str) -> None:
        """Leave nothing out of `count` samples yet; `noun` is what one of them is called."""
        self._count = count
        self._noun = noun
        self._files: dict[int, str] = {}
        """The file of each row that is left out; empty if it is not known."""
        self._news: list[tuple[str, str]] = []
        """Files that nobody was told of, and why they cannot be read."""

    def __len__(self) -> int:
        return len(self._files)

    def add_gone(self, rows: Iterable[int]) -> None:
        """Leave out rows whose files were not found when the data were read."""
        for row in rows:
            self._files.setdefault(row, "")

    def present(self, rows: Iterable[int]) -> list[int]:
        """Return those of some rows that are not left out."""
        return [row for row in rows if row not in self._files] if self._files else list(rows)

    def received(self, batch: Batch) -> Batch:
        """Return a batch without the field that says what it lacks, which is left out from now on.

        Raises:
            BatchLost: most samples are left out by now.
        """
        if LOST not in batch:
            return batch
        others = {name: field for name, field in batch.items() if name != LOST}
        for row, file, reason in json.loads(batch[LOST].numpy().tobytes()):
            if row not in self._files:
                self._files[row] = file
                self._news.append((file, reason))
        if len(self) >= MANY and 2 * len(self) > self._count:
            file, reason = self._news[-1]
            raise BatchLost(
                f"{len(self):,} of {counted(self._count, self._noun)} cannot be read any more, the "
                f"last one {_shown(file, reason)}: is their disk still there?"
            )
        return others

    def take_news(self) -> str:
        """Return a text on the samples that were left out since the last call; mostly empty."""
        if not self._news:
            return ""
        news, self._news = self._news, []
        shown = ", ".join(_shown(*one) for one in news[:_MOST_NAMED])
        more = f" and {len(news) - _MOST_NAMED:,} more" if len(news) > _MOST_NAMED else ""
        return (
            f"left out from now on: {shown}{more}; {len(self):,} of "
            f"{counted(self._count, self._noun)} so far, which the checkpoints list "
            "(dataset.broken=error ends the run instead)"
        )

    def to_list(self) -> list[list[Any]]:
        """Return the rows and their files as plain values, for a checkpoint."""
        return [[row, self._files[row]] for row in sorted(self._files)]

    def restore(self, saved: Iterable[Sequence[Any]]) -> None:
        """Leave out what a checkpoint lists; rows that are left out already stay so."""
        for row, file in saved:
            self._files[int(row)] = str(file)


def _shown(file: str, reason: str) -> str:
    return f"{clean(file, 120)} ({clean(reason, 120)})"
