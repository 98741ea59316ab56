"""Numbers as people write them: `1,234.5`, `1.234,5`, `1 234`, `12 %`, `$5`, `7 EUR`.

Layer: data. Which form a column has is recognised by all of its cells: `1,234` alone may be either
of two numbers, and is refused unless something else in the column or the file decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.number_units import without_unit

_SPACE = " \u00a0\u2007\u2009\u202f'\u2019"


@dataclass(frozen=True, slots=True)
class NumberForm:
    """A way to write numbers."""

    name: str
    description: str
    pattern: re.Pattern[str] = field(repr=False)
    thousands: str
    """The characters between thousands."""
    decimal: str

    def plain(self, text: str) -> str | None:
        """Return a number of this form as Python writes it, and None for any other text."""
        bare: str | None = text.strip()
        if not self.pattern.fullmatch(bare or ""):
            bare, _ = without_unit(text)
        if bare is None or not self.pattern.fullmatch(bare):
            return None
        bare = bare.translate({ord(sign): None for sign in self.thousands})
        return bare.replace(self.decimal, ".")


def _form(name: str, description: str, thousands: str, decimal: str) -> NumberForm:
    groups = rf"[0-9]{{1,3}}(?:[{re.escape(thousands)}][0-9]{{3}})+|" if thousands else ""
    if thousands == ",":
        # As in India: `12,34,567`.
        groups += r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}|"
    fraction, exponent = rf"(?:{re.escape(decimal)}[0-9]+)?", "(?:[eE][+-]?[0-9]+)?"
    pattern = re.compile(rf"[+-]?(?:{groups}[0-9]+){fraction}{exponent}")
    return NumberForm(name, description, pattern, thousands, decimal)


PLAIN = _form("plain", "without its sign", "", ".")
COMMA_THOUSANDS = _form("comma_thousands", "commas between thousands", ",", ".")
DECIMAL_COMMA = _form("decimal_comma", "a decimal comma", "." + _SPACE, ",")
SPACED = _form("spaced", "spaces between thousands", _SPACE, ".")
FORMS = {form.name: form for form in (PLAIN, COMMA_THOUSANDS, DECIMAL_COMMA, SPACED)}


_LEAST_USUAL = 5
"""So many different numbers are needed for another text to be a mistake."""
_SEEN, _MOST_ODD = 1000, 3
"""So many different texts are looked at, and no more where some of the first are no numbers."""


class FormSurvey:
    """Finds the form in which the numbers of a column are written, cell by cell."""

    def __init__(self) -> None:
        self.possible = list(FORMS.values())
        """The forms that all cells so far may have that are no plain numbers."""
        self.example = ""
        self.line = 0
        self.has_point = False
        """Whether a plain number has a point."""
        self.seen: set[str] = set()
        """Some of the different texts that are no plain numbers."""
        self.usual: tuple[str, int] = "", 0
        """The first of them that is a number in some form, and its line."""
        self.odd: list[tuple[str, int]] = []
        """Those of them that are numbers in no form at all, and their lines."""
        self.apart: tuple[str, int] = "", 0
        """The first text after which no form is left that all may have, and its line."""
        self.units: dict[str, tuple[str, int]] = {}
        """The first text with each unit, and its line: of no more than two."""

    @property
    def wants_point(self) -> bool:
        """Whether it matters, and is not known, if a plain number has a point."""
        return bool(self.possible) and not self.has_point

    def add(self, texts: Sequence[str], foreign: Sequence[int], lines: NDArray[np.int64]) -> None:
        """Look at some cells, of which those at the positions `foreign` are no plain numbers."""
        self._look_at(texts, foreign, lines)
        if not self.possible:
            return
        if not self.has_point and len(foreign) < len(texts):
            strange = set(foreign)
            self.has_point = any(
                "." in text for place, text in enumerate(texts) if place not in strange
            )
        for place in foreign:
            text = texts[place].strip()
            possible = [form for form in self.possible if form.pattern.fullmatch(text)]
            if not possible:
                bare, unit = without_unit(text)
                possible = [form for form in self.possible if bare and form.pattern.fullmatch(bare)]
                if unit and len(self.units) < 2:
                    self.units.setdefault(unit, (text, int(lines[place])))
            self.possible = possible
            if not possible:
                self.apart = text, int(lines[place])
            if not self.possible:
                return
            if not self.example:
                self.example, self.line = texts[place].strip(), int(lines[place])

    def _look_at(
        self, texts: Sequence[str], foreign: Sequence[int], lines: NDArray[np.int64]
    ) -> None:
        """Look which of some texts are numbers in any form; of texts in general, only at a few."""
        for place in foreign:
            if len(self.seen) >= _SEEN or len(self.odd) > _MOST_ODD + len(self.seen) // 10:
                return
            text = texts[place].strip()
            if text in self.seen:
                continue
            self.seen.add(text)
            if all(form.plain(text) is None for form in FORMS.values()):
                self.odd.append((text, int(lines[place])))
            elif not self.usual[0]:
                self.usual = text, int(lines[place])

    @property
    def misfit(self) -> tuple[str, int]:
        """The text that keeps a column from being one of numbers of a form, and its line.

        Empty unless nearly all other texts are such numbers.
        """
        usual = len(self.seen) - len(self.odd)
        if self.possible or usual < _LEAST_USUAL or len(self.odd) > max(1, usual // 10):
            return "", 0
        return self.odd[0] if self.odd else self.apart

    def decide(self, separator: str, decimal: str, thousands: str) -> NumberForm | None:
        """Return the form of the numbers; None if it cannot be told.

        Args:
            separator: of the fields of the file.
            decimal: `auto`, `point` or `comma`, as stated.
            thousands: `auto`, `none`, `comma`, `point` or `space`, as stated.
        """
        possible = [form for form in self.possible if _has_decimal(form, decimal)]
        # Only a preference: `33,6` has a decimal comma, whatever separates thousands elsewhere.
        possible = [form for form in possible if _has_thousands(form, thousands)] or possible
        if PLAIN in possible:
            return PLAIN
        if SPACED in possible and DECIMAL_COMMA in possible:
            # Spaces between thousands and no decimals: both forms read the same number.
            possible.remove(DECIMAL_COMMA)
        if len(possible) < 2:
            return possible[0] if possible else None
        if self.has_point:
            return COMMA_THOUSANDS
        return DECIMAL_COMMA if separator == ";" else None


def _has_decimal(form: NumberForm, stated: str) -> bool:
    return stated == "auto" or form.decimal == {"point": ".", "comma": ","}[stated]


def _has_thousands(form: NumberForm, stated: str) -> bool:
    if stated in ("auto", "none"):
        return stated == "auto" or form.thousands == ""
    return {"point": ".", "comma": ",", "space": " "}[stated] in form.thousands
