"""`SplitRecord`: the side of every row of a run, and the cut points for later rows, in a file.

Layer: data. The file `splits` has a line with a sum, a line of JSON, and the arrays one after the
other. It is plain data: what is read is checked by its sum, its size and its ranges.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

import numpy as np

from tui_trainer.data.splits.cuts import LEFT_OUT, Cuts, Sides
from tui_trainer.data.splits.division import Rule
from tui_trainer.data.splits.row_keys import Keys

_MAGIC = b"tui-trainer splits 1 "
_MOST_HEADER = 2**26
_ROW_BYTES = 17
_NO_CUTS = Cuts((), (), (0,), (0,))


@dataclass(frozen=True, slots=True)
class RowChanges:
    """Counts of rows in which the data differ from those of the run."""

    gone: int
    """Rows of the run that are not in the data as they were: they are missing, or changed."""
    new: int
    """Rows of the data that the run does not have, and that are left out."""
    total: int
    """Rows of the run."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitRecord:
    """The split of a run: the rows are in the order in which the run has them."""

    rule: Rule
    seed: int
    identities: Keys
    """(N,) what each row is known by."""
    contents: Keys
    """(N,) hashes of all that was read of each row, all different."""
    sides: Sides
    """(N,)."""
    cuts: Cuts = _NO_CUTS
    """Of the rules that go by identities."""
    times: tuple[float, ...] = ()
    """Of the rule `time`: the earliest time of the test, and of validation."""
    extents: tuple[int, ...] = ()
    """Of a single text: the bytes up to which it is for training, validation and the test."""
    are_numbered: bool = False
    """Whether rows with equal inputs count as different, as few different rows do."""
    is_of_another_run: bool = False
    """Whether a new run takes the split, with its own rows; never in the file."""

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        header = {
            "rule": self.rule,
            "seed": self.seed,
            "rows": len(self.sides),
            "strata": self.cuts.names,
            "edges": self.cuts.edges,
            "test": self.cuts.test,
            "val": self.cuts.val,
            "times": self.times,
            "extents": self.extents,
            "are_numbered": self.are_numbered,
        }
        body = b"".join(
            (
                json.dumps(header).encode() + b"\n",
                self.identities.astype("<u8").tobytes(),
                self.contents.astype("<u8").tobytes(),
                self.sides.tobytes(),
            )
        )
        return _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @staticmethod
    def from_bytes(data: bytes) -> SplitRecord:
        """Read what `to_bytes` returned.

        Raises:
            ValueError: it is damaged, of a later version, or not what a run writes.
        """
        first, _, body = data.partition(b"\n")
        if not first.startswith(_MAGIC):
            is_later = first.startswith(b"tui-trainer splits ")
            raise ValueError("a later version wrote it" if is_later else "not written by a run")
        if first != _MAGIC + hashlib.sha256(body).hexdigest().encode():
            raise ValueError("damaged: its sum is wrong")
        line, _, arrays = body.partition(b"\n")
        if len(line) > _MOST_HEADER:
            raise ValueError("not written by a run")
        try:
            header = _Header(**json.loads(line))
            rows = header.checked_rows()
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            raise ValueError("not written by a run") from error
        sides = np.frombuffer(arrays[16 * rows :], dtype=np.int8)
        if len(arrays) != _ROW_BYTES * rows or not ((sides >= 0) & (sides <= LEFT_OUT)).all():
            raise ValueError("not written by a run")
        return SplitRecord(
            cast(Rule, header.rule),
            header.seed,
            np.frombuffer(arrays[: 8 * rows], dtype="<u8").astype(np.uint64),
            np.frombuffer(arrays[8 * rows : 16 * rows], dtype="<u8").astype(np.uint64),
            sides,
            Cuts(tuple(header.strata), tuple(header.edges), tuple(header.test), tuple(header.val)),
            tuple(header.times),
            tuple(header.extents),
            header.are_numbered,
        )


@dataclass(frozen=True, slots=True)
class _Header:
    """The line of JSON; fields are what the file says, until they are checked."""

    rule: str
    seed: int
    rows: int
    strata: list[str]
    test: list[int]
    val: list[int]
    edges: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)
    are_numbered: bool = False

    def checked_rows(self) -> int:
        """Return the number of rows; ValueError if a field is not what a run writes."""
        lists: Mapping[str, tuple[Any, Any]] = {
            "strata": (self.strata, str),
            "test": (self.test, int),
            "val": (self.val, int),
            "edges": (self.edges, float),
            "times": (self.times, float),
            "extents": (self.extents, int),
        }
        fits = all(
            isinstance(values, list) and all(type(value) is kind for value in values)
            for values, kind in lists.values()
        )
        fits = fits and type(self.rows) is type(self.seed) is int and self.rule in get_args(Rule)
        fits = fits and len(self.test) == len(self.val) == len(self.strata) + 1
        fits = fits and all(0 <= cut < 2**64 for cut in (*self.test, *self.val, self.seed))
        fits = fits and all(0 <= end < 2**63 for end in self.extents) and self.rows >= 0
        fits = fits and all(np.isfinite([*self.edges, *self.times])) and len(self.times) in (0, 2)
        if not fits or type(self.are_numbered) is not bool or len(self.extents) not in (0, 3):
            raise ValueError
        return self.rows
