"""`without_unit`: the number in `12 %`, `$5`, `7 EUR` or `(1,234.50)`, and its unit.

Layer: data. Only percent and money are units here: `5 kg` stays a text, as `A 12` is no quantity. A
note says so of a column in which each text has the same word beside a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MONEY = (
    "$\u00a2-\u00a5\u058f\u060b\u09f2\u09f3\u0e3f\u17db\u20a0-\u20c0\uff04\uffe0\uffe1\uffe5\uffe6"
)
"""The signs of money in a class of characters: `$`, cent, pound, currency, yen, euro and others."""
_CODES = (
    "aed|ars|aud|bdt|bgn|brl|cad|chf|clp|cny|cop|czk|dkk|egp|eur|gbp|hkd|huf|idr|ils|inr|jpy|kes|"
    "krw|mxn|myr|ngn|nok|nzd|pen|php|pkr|pln|rmb|ron|rub|sar|sek|sgd|thb|try|twd|uah|usd|vnd|zar"
)
_UNIT = (
    rf"[%\u2030]|(?:us|au?|ca?|nz|hk|nt|mx|s|r)?[{_MONEY}]|(?:{_CODES})|kr\.?|z\u0142|k\u010d|rs\.?"
)
_NUMBER = r"[+-]?[0-9][0-9.,'\u2019\s]*(?:[eE][+-]?[0-9]+)?"
_PARTS = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_UNIT})?\s*(?P<open>\()?(?P<number>{_NUMBER})(?P<close>\))?"
    rf"\s*(?P<after>{_UNIT})?(?P<end>\s?-)?",
    re.IGNORECASE,
)
_USUAL, _BARE = "%$\u20ac\u00a3", re.compile(r"\s*[0-9][0-9.,'\u2019\s]*")
_LEAST_DIGITS = 3
"""A number before a minus has so many: a mark such as `2-` is no negative number."""
_IN_WORDS = re.compile(r"([^\w]*)([+-]?\d[\d.,]*)([^\d]*)")


def without_unit(text: str) -> tuple[str | None, str]:
    """Return a text without the sign of percent or money, and that in lower case.

    Amounts in brackets and before a minus are negative. The text is None if it cannot be a number.
    """
    text = text.strip()
    for number, sign in ((text[:-1], text[-1:]), (text[1:], text[:1])):
        # Nearly all amounts, several times as fast.
        if sign and sign in _USUAL and _BARE.fullmatch(number):
            return number.strip(), sign
    text = text.replace("\u2212", "-")
    is_negative = text[:1] == "(" and text[-1:] == ")"
    match = _PARTS.fullmatch(text[1:-1] if is_negative else text)
    if match is None:
        return None, ""
    sign, number = match["sign"], match["number"].rstrip()
    if match["open"] or match["close"]:
        if is_negative or not (match["open"] and match["close"]):
            return None, ""
        is_negative = True
    if match["end"]:
        if is_negative or sum(char.isdigit() for char in number) < _LEAST_DIGITS:
            return None, ""
        is_negative = True
    if is_negative and (sign or number[:1] in ("+", "-")):
        return None, ""
    unit = ((match["before"] or "") + (match["after"] or "")).lower().rstrip(".")
    return ("-" if is_negative else sign) + number, unit


def is_percent(unit: str) -> bool:
    """Whether a unit is that of a share."""
    return unit in ("%", "\u2030")


@dataclass(slots=True)
class WordSurvey:
    """Finds the word that each text of a column has behind a number, such as `kg`."""

    is_possible: bool = True
    word: str = ""
    example: str = ""
    count: int = 0
    """Of the texts that were looked at."""

    def add(self, texts: Sequence[str]) -> None:
        """Look at some texts that are no numbers."""
        for text in texts if self.is_possible else ():
            match = _IN_WORDS.fullmatch(text.strip())
            word = "" if match is None else (match[1] + match[3]).strip()
            if match is None or (self.count and word != self.word):
                self.is_possible = False
                return
            self.word, self.example = word, self.example or text.strip()
            self.count += 1
