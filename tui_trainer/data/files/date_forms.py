"""Dates and times as people write them: `2025-04-03 14:30`, `3.4.2025`, `04/03/2025`, `3 Apr 2025`.

Layer: data. Whether the day or the month goes first in `03/04/2025` is told by the other cells of
the column: one of them has a number above 12. A time with a zone is turned into UTC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

DAY_FIRST, MONTH_FIRST = "day_first", "month_first"

DAY_US = 86_400_000_000
"""Microseconds of a day."""
_EPOCH = date(1970, 1, 1).toordinal()
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"),
            ("feb", "february"),
            ("mar", "march"),
            ("apr", "april"),
            ("may",),
            ("jun", "june"),
            ("jul", "july"),
            ("aug", "august"),
            ("sep", "sept", "september"),
            ("oct", "october"),
            ("nov", "november"),
            ("dec", "december"),
        ),
        1,
    )
    for name in names
}
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_TIME = (
    r"(?:(?:,?\s+|T)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d{1,9})?))?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?"
)
_FORMS = (
    r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second_part>\d{1,2})(?P=sign)(?P<year>\d{4})",
    _WEEKDAY + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[\s-](?P<name>[a-z]+)\.?,?[\s-](?P<year>\d{4})",
    _WEEKDAY + r"(?P<name>[a-z]+)\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"(?P<year>\d{4})-(?P<month>\d{2})",
)
_LONGEST = 60


@cache
def _forms() -> tuple[re.Pattern[str], ...]:
    """Compile the forms when a text may be a date, which few tables have: it takes a while."""
    return tuple(re.compile(form + _TIME, re.IGNORECASE | re.ASCII) for form in _FORMS)


def read_date(text: str, order: str = "") -> float | None:
    """Return the days since 1970 of a date, with the time as a fraction; None for other texts.

    `order` decides of two numbers up to 12 whether the day or the month goes first; without it
    such a date is None, too. With points between them the day goes first.
    """
    stripped = text.strip()
    # Nearly every other text, without a search.
    if len(stripped) > _LONGEST or not any(char.isdigit() for char in stripped[-12:]):
        return None
    match = next((found for form in _forms() if (found := form.fullmatch(stripped))), None)
    if match is None:
        return None
    parts = match.groupdict()
    if "first" in parts:
        day, month = _day_and_month(parts, order)
    else:
        day = int(parts.get("day", 1))
        month = _MONTHS.get(parts["name"].lower(), 0) if "name" in parts else int(parts["month"])
    try:
        days = date(int(parts["year"]), month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    time = _time_of(parts)
    return None if time is None else float(days * DAY_US + time) / DAY_US


def read_dates(texts: Sequence[str], order: str = "") -> NDArray[np.float64]:
    """Return what `read_date` returns for each text, NaN for None."""
    if all(map(_is_plain_iso, texts)):
        # The same numbers, many times as fast.
        try:
            stamps = np.array(texts, dtype="datetime64[us]")
        except ValueError:
            pass
        else:
            return stamps.astype(np.int64) / DAY_US
    days = [read_date(text, order) for text in texts]
    return np.array([math.nan if day is None else day for day in days], dtype=np.float64)


def _is_plain_iso(text: str) -> bool:
    """Whether a text may be a date, or a date and a time, as numpy reads them."""
    return (
        (len(text) == 10 or 16 <= len(text) <= 26)
        and text[4] == text[7] == "-"
        and text.isascii()
        and text[-1].isdigit()
        and text[:4].isdigit()
        and "+" not in text
        and "-" not in text[8:]
    )


def find_order(texts: Iterable[str]) -> str:
    """Return what goes first in dates such as `13/04/2025`, or an empty string if none says so.

    If some have the day first and others the month, it is that of most.
    """
    counts = {DAY_FIRST: 0, MONTH_FIRST: 0}
    for text in texts:
        if {*text[1:3]} & {*"/-"}:
            for order in counts:
                counts[order] += read_date(text, order) is not None
    if counts[DAY_FIRST] == counts[MONTH_FIRST]:
        return ""
    return max(counts, key=lambda order: counts[order])


def _day_and_month(parts: dict[str, str], order: str) -> tuple[int, int]:
    """Return the numbers in the order of the column; the month is 0 if it cannot be told."""
    first, second = int(parts["first"]), int(parts["second_part"])
    if parts["sign"] == "." or order == DAY_FIRST or first == second:
        return first, second
    if order == MONTH_FIRST:
        return second, first
    if first > 12:
        return first, second
    return (second, first) if second > 12 else (first, 0)


def _time_of(parts: dict[str, str | None]) -> int | None:
    """Return the microseconds since midnight, in UTC if there is a zone; None for no valid time."""
    if parts["hour"] is None or parts["minute"] is None:
        return 0
    hour, minute = int(parts["hour"]), int(parts["minute"])
    second = float((parts["second"] or "0").replace(",", "."))
    if parts["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    if hour > 23 or minute > 59 or second >= 61:
        return None
    minutes = 60 * hour + minute - _offset_of(parts["zone"])
    return 60_000_000 * minutes + round(second * 1_000_000)


def _offset_of(zone: str | None) -> int:
    """Return the minutes that a zone is ahead of UTC."""
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes
