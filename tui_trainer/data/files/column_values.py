"""`ColumnValues`: collects a column as numbers, as codes of texts, or as both until it is known.

Layer: data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cell_values import to_numbers
from tui_trainer.data.files.column_survey import ColumnSurvey
from tui_trainer.data.files.columns import Kind, RequestedKind
from tui_trainer.data.files.number_forms import NumberForm
from tui_trainer.data.files.table_rows import Rows

_MOST_NUMBERS_AS_TEXTS = 1000
"""A target of more different numbers is no class."""


class GrowingArray:
    """An array that values are appended to."""

    def __init__(self, dtype: type[np.generic]) -> None:
        self._buffer: NDArray[Any] = np.empty(0, dtype=dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, values: NDArray[Any], share: float) -> None:
        """Append values; with them, about this share of all is there."""
        needed = self._count + len(values)
        if needed > len(self._buffer):
            # Memory that is never written to is never taken, so room for more costs nothing.
            buffer = np.empty(int(needed / share * 1.02) + 1024, dtype=self._buffer.dtype)
            buffer[: self._count] = self._buffer[: self._count]
            self._buffer = buffer
        self._buffer[self._count : needed] = values
        self._count = needed

    def values(self) -> NDArray[Any]:
        return self._buffer[: self._count]


@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that is no finite number."""

    row: int
    line: int
    text: str


class NumberValues:
    """The numbers of a column, NaN for what is none, and the first cell that is not finite."""

    def __init__(self, form: NumberForm | None = None) -> None:
        self._values = GrowingArray(np.float64)
        self._form = form
        self.bad: BadCell | None = None

    def add(self, rows: Rows, name: str, marks: frozenset[str] | None) -> None:
        """Append the cells of a column."""
        values = rows.numbers(name) if self._form is None else None
        if values is not None:
            self.add_numbers(values, rows, name)
            return
        texts, codes = rows.distinct(name)
        values, foreign = to_numbers(texts, marks, self._form)
        self.add_numbers(values[codes], rows, name, np.isin(codes, foreign))

    def add_numbers(
        self,
        values: NDArray[np.float64],
        rows: Rows,
        name: str,
        foreign: NDArray[np.bool_] | None = None,
    ) -> None:
        """Append numbers that were read already; `foreign` tells which cells are none."""
        if self.bad is None:
            bad = np.isinf(values) if foreign is None else np.isinf(values) | foreign
            if bad.any():
                place = int(bad.argmax())
                line = int(rows.lines[place])
                self.bad = BadCell(len(self._values) + place, line, rows.text(name, place))
        self._values.add(values, rows.share)

    def values(self) -> NDArray[np.float64]:
        return self._values.values()


class TextValues:
    """The texts of a column as codes, numbered in the order in which they first occur."""

    def __init__(self) -> None:
        self._codes = GrowingArray(np.int32)
        self.book: dict[str, int] = {}
        """The code of each text."""

    def add(self, rows: Rows, name: str) -> None:
        self.add_texts(*rows.distinct(name), rows)

    def add_texts(self, texts: list[str], codes: NDArray[np.int64], rows: Rows) -> None:
        """Append texts that were read already, as `Rows.distinct` returns them."""
        book = self.book
        places = [book.setdefault(text.strip(), len(book)) for text in texts]
        self._codes.add(np.array(places, dtype=np.int32)[codes], rows.share)

    def codes(self) -> NDArray[np.int32]:
        return self._codes.values()


@dataclass(slots=True)
class ColumnValues:
    """A column while it is read for the first time."""

    requested: RequestedKind
    survey: ColumnSurvey | None = None
    """None for a column that is one of texts in any case."""
    numbers: NumberValues | None = None
    """None if it has texts."""
    texts: TextValues | None = None
    """None if it does not seem to be a column of texts."""
    _is_begun: bool = field(default=False)

    def __post_init__(self) -> None:
        if self.requested != "category":
            self.survey = ColumnSurvey(
                is_target=self.requested == "auto_target",
                may_round=self.requested == "auto_rounded",
                is_stated=self.requested == "number",
            )
            self.numbers = NumberValues()
        if self.requested in ("category", "auto_target"):
            self.texts = TextValues()

    def add(self, rows: Rows, name: str, marks: frozenset[str] | None) -> None:
        """Look at the cells of some rows, and keep them."""
        values = None if self.numbers is None else rows.numbers(name)
        if self.survey is None:
            assert self.texts is not None, "a column of texts has them"
            self.texts.add(rows, name)
        elif values is not None and self.numbers is not None:
            self.survey.add_numbers(values, rows, name)
            self.numbers.add_numbers(values, rows, name)
            if self.texts is not None:
                self.texts.add(rows, name)
        else:
            self._add_texts(rows, name, marks, self.survey)
        self._is_begun = True
        if self.numbers is not None and self.texts is not None and self.survey is not None:
            self._drop_texts_of_many_numbers(self.texts)

    def _add_texts(
        self, rows: Rows, name: str, marks: frozenset[str] | None, survey: ColumnSurvey
    ) -> None:
        texts, codes = rows.distinct(name)
        values, foreign = to_numbers(texts, marks)
        survey.add_texts(texts, codes, rows.lines, (values, foreign))
        if foreign:
            self.numbers = None
        elif self.numbers is not None:
            self.numbers.add_numbers(values[codes], rows, name)
        if not self._is_begun and self.texts is None and not survey.forms.possible:
            self.texts = TextValues()
        if self.texts is not None:
            self.texts.add_texts(texts, codes, rows)

    def _drop_texts_of_many_numbers(self, texts: TextValues) -> None:
        if len(texts.book) > _MOST_NUMBERS_AS_TEXTS:
            self.texts = None

    def is_whole(self, kind: Kind, form: NumberForm | None) -> bool:
        """Whether the column is there as one of this kind, with numbers of this form."""
        if kind == "category":
            return self.texts is not None
        return self.numbers is not None and form is None
