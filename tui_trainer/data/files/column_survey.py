"""`ColumnSurvey`: counts what the cells of a column are, and decides what the column is.

Layer: data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, Kind, NumberColumn
from tui_trainer.data.files.disk import DataFile, TableStyle
from tui_trainer.data.files.first_numbers import FirstNumbers
from tui_trainer.data.files.number_forms import (
    COMMA_THOUSANDS,
    DECIMAL_COMMA,
    FORMS,
    FormSurvey,
    NumberForm,
)
from tui_trainer.data.files.number_units import WordSurvey, is_percent
from tui_trainer.data.files.table_rows import EXACT, Rows
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_LEAST_WORDS, _LONGEST_WORD = 10, 10
"""So many different texts with a word of so many letters behind a number are noted."""
_WHOLE = re.compile(r"[+-]?[0-9]{16,300}")
MOSTLY = 0.9
"""A column with at least this share of numbers is numeric, and any text in it an error."""


@dataclass(slots=True)
class ColumnSurvey:
    """Counts the numbers and texts of a column over all rows, and notes the first text."""

    is_target: bool = False
    may_round: bool = False
    """Whether whole numbers are numbers even where float64 rounds them."""
    is_stated: bool = False
    """Whether the settings say that these are numbers."""
    distinct: set[float] = field(default_factory=set)
    """Of a target, some of its different numbers: all if they are two."""
    numbers: int = 0
    texts: int = 0
    line: int = 0
    text: str = field(default="")
    forms: FormSurvey = field(default_factory=FormSurvey)
    has_fraction: bool = False
    """Whether a number as Python writes it has decimals, and so a point."""
    may_be_thousands: bool = True
    """Whether all numbers so far could have points between thousands instead, as `7.084`."""
    suspect: float = 0.0
    """Of these, one with three digits behind the point, and its line."""
    suspect_line: int = 0
    rounded_line: int = 0
    """The line of the first whole number that float64 rounds; 0 if there is none."""
    rounded_text: str = ""
    share: float = 0.0
    """The first number between 0 and 1, as Python writes it, and its line."""
    share_line: int = 0
    words: WordSurvey = field(default_factory=WordSurvey)
    first: FirstNumbers = field(default_factory=FirstNumbers)

    @property
    def decimal(self) -> str:
        """The sign before decimals in this column: a point, a comma, or empty if it has none."""
        if not self.texts:
            is_certain = self.has_fraction and not (self.may_be_thousands and self.suspect)
            return "." if is_certain else ""
        if not self.forms.possible:
            return ""
        signs = {form.decimal for form in self.forms.possible}
        # `1.5 %` leaves no doubt, and `1,234` may be either.
        (sign,) = signs if len(signs) == 1 else ("",)
        return sign if sign and sign in self.forms.example else ""

    def add_numbers(self, values: NDArray[np.float64], rows: Rows, name: str) -> None:
        """Count the cells of rows that are all numbers, NaN where one is missing."""
        missing = np.isnan(values)
        present = values[~missing] if missing.any() else values
        self.numbers += len(present)
        if self._has_large(present):
            self._look_for_rounded(*rows.distinct(name), rows.lines)
        self.first.look(rows, name)
        if not self.share_line:
            self._look_for_share(values, rows.lines)
        if self.may_be_thousands:
            self._look_for_points(values, present, rows.lines)
        if self.is_target and len(self.distinct) < 3:
            self.distinct.update(np.unique(present)[:3].tolist())
        if self.forms.wants_point and rows.has_point(name):
            self.forms.has_point = True

    def _has_large(self, values: NDArray[np.float64]) -> bool:
        """Whether numbers are to be looked at for one that is rounded."""
        return not (self.may_round or self.rounded_line) and bool((np.abs(values) >= EXACT).any())

    def _look_for_rounded(
        self, texts: Sequence[str], codes: NDArray[np.int64], lines: NDArray[np.int64]
    ) -> None:
        is_rounded = np.array([_is_rounded(text.strip()) for text in texts], dtype=np.bool_)
        rows = np.flatnonzero(is_rounded[codes])
        if len(rows):
            self.rounded_line, self.rounded_text = int(lines[rows[0]]), texts[codes[rows[0]]]

    def _look_for_share(self, values: NDArray[np.float64], lines: NDArray[np.int64]) -> None:
        sizes = np.abs(values)
        places = np.flatnonzero((sizes < 1) & (sizes > 0))
        if len(places):
            self.share, self.share_line = float(values[places[0]]), int(lines[places[0]])

    def _look_for_points(
        self,
        values: NDArray[np.float64],
        present: NDArray[np.float64],
        lines: NDArray[np.int64],
    ) -> None:
        with_point = present[present != np.floor(present)]
        self.has_fraction = self.has_fraction or len(with_point) > 0
        thousandths = with_point * 1000
        self.may_be_thousands = bool(
            (np.abs(thousandths - np.round(thousandths)) < 1e-6).all()
            and (np.abs(present) < 1000).all()
            # No group of thousands begins with a zero.
            and not self.share_line
        )
        three = with_point[np.abs(with_point * 100 - np.round(with_point * 100)) > 1e-6]
        if len(three) and not self.suspect:
            self.suspect = float(three[0])
            self.suspect_line = int(lines[int((values == three[0]).argmax())])

    def add_texts(
        self,
        texts: Sequence[str],
        codes: NDArray[np.int64],
        lines: NDArray[np.int64],
        converted: tuple[NDArray[np.float64], Sequence[int]],
    ) -> None:
        """Count the cells of rows of which some may be texts.

        Args:
            texts: the cells, in the order in which they first occur.
            codes: the place of each row's cell among them.
            lines: the line of each row.
            converted: what `to_numbers` makes of the texts.
        """
        values, foreign = converted
        counts = np.bincount(codes, minlength=len(texts))
        if self._has_large(values):
            self._look_for_rounded(texts, codes, lines)
        self.numbers += int(counts[~np.isnan(values)].sum())
        self.texts += int(counts[foreign].sum())
        if self.is_target and len(self.distinct) < 3:
            self.distinct.update(np.unique(values[~np.isnan(values)])[:3].tolist())
        first_lines = np.empty(len(texts), dtype=np.int64)
        # Of those with one code, the first row is written last.
        first_lines[codes[::-1]] = lines[::-1]
        if not self.share_line:
            self._look_for_share(values, first_lines)
        self.forms.add(texts, foreign, first_lines)
        self.words.add([texts[place] for place in foreign])
        if foreign and not self.line:
            self.line, self.text = int(first_lines[foreign[0]]), texts[foreign[0]]

    def form_of(self, file: DataFile, name: str, decimal: str = "") -> NumberForm | None:
        """Return the form of the numbers, None if they are as Python writes them, or none.

        `decimal` is what separates decimals in the other columns, where that is certain.

        Raises:
            BadInput: they may be two different numbers each.
        """
        style = file.style
        if not self.texts:
            if decimal == "," and self.suspect and self.may_be_thousands:
                self._refuse_points(file, name)
            return DECIMAL_COMMA if style.decimal == "comma" and self.numbers else None
        if not self.forms.possible:
            return None
        form = self.forms.decide(style.separator, style.decimal, style.thousands)
        if form is None and style.decimal == style.thousands == "auto":
            # Commas elsewhere decide nothing: there are files with `33,6` beside `5,100` for 5100.
            if decimal == "." and COMMA_THOUSANDS in self.forms.possible:
                return COMMA_THOUSANDS
            text = clean(self.forms.example, 40)
            shapes = (COMMA_THOUSANDS, DECIMAL_COMMA)
            one, other = (shape.plain(self.forms.example) for shape in shapes)
            raise BadInput(
                f"{file.name}:{self.forms.line}: column '{clean(name, 80)}' has {text!r}, which "
                f"may be {one} or {other}; set dataset.thousands=comma or dataset.decimal=comma"
            )
        return form

    def _refuse_points(self, file: DataFile, name: str) -> None:
        """Raise BadInput if nothing states what the points of a column are.

        The other columns have decimal commas, and the points of this one may be between thousands.
        """
        if file.style.decimal == file.style.thousands == "auto":
            text = f"{self.suspect:.3f}"
            where = f"{file.name}:{self.suspect_line}"
            raise BadInput(
                f"{where}: column '{clean(name, 80)}' has {text}, which may be "
                f"{text.replace('.', '')} or {text}, since other columns have decimal commas; set "
                "dataset.decimal=comma if its points are between thousands, or "
                "dataset.thousands=none"
            )

    def notes(self, shown: str, column: Column, style: TableStyle) -> list[str]:
        """Return a note if a column is not read as its first look suggests; `shown` names it.

        `style` is that of the table.
        """
        place = style.place
        if isinstance(column, NumberColumn):
            if column.form:
                return [f"{shown}: {self._read_as(FORMS[column.form], place)}"]
            if self._may_have_points(style):
                where = f"{clean(self.first.pointed, 40)} in {place} {self.first.pointed_line}"
                return [
                    f"{shown}: {where} is read with a decimal point; dataset.decimal=comma takes "
                    "such points for those between thousands"
                ]
            return (
                [self._note_on_codes(shown, place)]
                if self.first.code and not self.is_stated
                else []
            )
        if not self.numbers:
            return self._note_on_words(shown)
        if self.rounded_line:
            way = "problem=regression" if self.is_target else f"dataset.kinds={{{shown}: number}}"
            return [
                f"{shown}: its values are texts, because a number would be rounded, as "
                f"{clean(self.rounded_text, 40)} in {place} {self.rounded_line}; {way} takes them "
                "for numbers"
            ]
        if self.texts:
            return [
                f"{shown}: read as categories, because {place} {self.line} has "
                f"{clean(self.text, 40)!r}; {self.numbers} of its values are numbers"
            ]
        return [
            f"{shown} is predicted as a class, because it has two values "
            f"({clean(', '.join(column.texts), 40)}); problem=regression predicts a number"
        ]

    def _may_have_points(self, style: TableStyle) -> bool:
        """Whether all points may be between thousands, as where decimals have a comma.

        Fields are separated by semicolons there.
        """
        is_open = style.decimal == style.thousands == "auto" and style.separator == ";"
        return (
            is_open
            and bool(self.first.pointed)
            and not (self.first.has_decimals or self.share_line)
        )

    def _note_on_codes(self, shown: str, place: str) -> str:
        first = self.first
        setting = "problem=classification" if self.is_target else f"dataset.categorical=[{shown}]"
        return (
            f"{shown}: {clean(first.code, 40)} in {place} {first.code_line} is read as the number "
            f"{int(first.code)}; if such cells are codes, {setting} keeps their zeros"
        )

    def _note_on_words(self, shown: str) -> list[str]:
        words = self.words
        least = _LEAST_WORDS if words.word else 2
        if not words.is_possible or len(words.word) > _LONGEST_WORD or words.count < least:
            return []
        if not words.word and words.example.isascii():
            # Such as `2.1.0`.
            return []
        reason = f"with '{clean(words.word, 40)}'" if words.word else "in digits of another script"
        return [
            f"{shown}: read as categories, although its texts are numbers {reason}, such as "
            f"{clean(words.example, 40)!r}; write them as plain numbers to have them read so"
        ]

    def _read_as(self, form: NumberForm, place: str) -> str:
        text = self.forms.example or "numbers"
        plain = form.plain(text)
        example = f"{clean(text, 40)!r} in {place} {self.forms.line} is read as {plain}"
        what = form.description
        if form is DECIMAL_COMMA and form.decimal not in text and "." in text:
            what = "points between thousands"
        return f"{example}: {what}" if plain else what

    def decide(self, file: DataFile, name: str, form: NumberForm | None) -> Kind:
        """Return the kind of the column.

        Raises:
            BadInput: it has no value, or a text among numbers.
        """
        shown = clean(name, 80)
        if form is not None:
            if not self.may_round:
                self._refuse_other_units(file, name)
            return "number"
        if self.numbers + self.texts == 0:
            raise BadInput(
                f"{file.name}: column '{shown}' has no values at all; add it to dataset.drop"
            )
        if self.rounded_line:
            return "category"
        if self.texts == 0:
            return "category" if len(self.distinct) == 2 else "number"
        misfit, misfit_line = self.forms.misfit
        if misfit and not self.may_round:
            usual, usual_line = self.forms.usual
            raise BadInput(
                f"{file.name}:{misfit_line}: column '{shown}' has {clean(misfit, 40)!r}, which is "
                f"not written as {clean(usual, 40)!r} in {file.style.place} {usual_line}; correct "
                "it, leave it empty, name it in dataset.missing_values_by_column, or name the "
                "column in dataset.categorical"
            )
        if self.numbers >= MOSTLY * (self.numbers + self.texts):
            raise BadInput(
                f"{file.name}:{self.line}: column '{shown}' has {clean(self.text, 40)!r} among "
                "numbers; correct it, leave it empty, name it in "
                "dataset.missing_values_by_column, or name the column in dataset.categorical"
            )
        return "category"

    def _refuse_other_units(self, file: DataFile, name: str) -> None:
        """Raise BadInput if the numbers of a column are of more than one unit."""
        units = [*self.forms.units.items()]
        if len(units) > 1:
            (_, (first, first_line)), (_, (text, line)) = units
            what = f"beside {clean(first, 40)!r} in {file.style.place} {first_line}"
        elif units and is_percent(units[0][0]) and self.share_line:
            text, line = units[0][1]
            what = f"beside {self.share:g} in {file.style.place} {self.share_line}"
        else:
            return
        shown = clean(name, 80)
        way = "or set problem=regression"
        if not self.is_target:
            way = f"add it to dataset.drop, or in a table set dataset.kinds={{{shown}: number}}"
        raise BadInput(
            f"{file.name}:{line}: column '{shown}' has {clean(text, 40)!r} {what}, so its numbers "
            f"may have different units; write all in one, {way} to take them as they are"
        )


def _is_rounded(text: str) -> bool:
    """Whether a text is a whole number of which float64 has another one only."""
    return bool(_WHOLE.fullmatch(text)) and int(text) != int(float(text))
