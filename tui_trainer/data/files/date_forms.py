"""Dates and times as people write them: `2025-04-03 14:30`, `3.4.2025`, `04/03/2025`, `3 Apr 2025`.

Layer: data. Whether the day or the month goes first in `03/04/2025` is told by the other cells of
the column: one of them has a number above 12. In `03/04/25` the year may go first, too, so such a
date is none unless the order is stated. A time with a zone is turned into UTC.
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
            ("jan", "january", "januar"),
            ("feb", "february", "februar"),
            ("mar", "march", "märz"),
            ("apr", "april"),
            ("may", "mai"),
            ("jun", "june", "juni"),
            ("jul", "july", "juli"),
            ("aug", "august"),
            ("sep", "sept", "september"),
            ("oct", "october", "okt", "oktober"),
            ("nov", "november"),
            ("dec", "december", "dez", "dezember"),
        ),
        1,
    )
    for name in names
}
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d{1,9})?))?"
_ZONE = r"(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_TIME = rf"(?:(?:,?\s+|T){_CLOCK}(?:\s*(?P<half>[ap])\.?m\.?)?{_ZONE})?"
_NAME, _YEAR = r"(?P<name>[a-zä]+)\.?", r"(?P<year>\d{4})"
_FORMS = (
    _YEAR + r"([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})" + _TIME,
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second_part>\d{1,2})(?P=sign)" + _YEAR + _TIME,
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[\s-]{_NAME},?[\s-]{_YEAR}{_TIME}",
    rf"{_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}{_TIME}",
    _YEAR + r"(?P<month>\d{2})(?P<day>\d{2})" + _TIME,
    _YEAR
    + r"(?P<month>\d{2})(?P<day>\d{2})T?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?"
    + _ZONE,
    _YEAR + r"-(?P<month>\d{2})" + _TIME,
    rf"{_NAME}[\s-]{_YEAR}",
    r"(?P<month>\d{1,2})/(?P<year>(?:1[5-9]|2[01])\d{2})",
    # As `date` of Unix and logs of web servers have them.
    rf"{_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}{_ZONE}\s+{_YEAR}",
    rf"(?P<day>\d{{2}})/{_NAME}/{_YEAR}:{_CLOCK}{_ZONE}",
)
_SHORT_FORMS = (
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second_part>\d{1,2})(?P=sign)(?P<year>\d{2})" + _TIME,
    rf"(?P<day>\d{{1,2}})[\s-]{_NAME}[\s-](?P<year>\d{{2}}){_TIME}",
)
"""With two digits of a year, which only a stated order tells from those of a day."""
_FIRST_SHORT_YEAR = 1969
"""Years of two digits are of 1969 to 2068, as in POSIX."""
_LONGEST = 60


@cache
def _compiled(forms: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compile forms when a text may be a date, which few tables have: it takes a while."""
    return tuple(re.compile(form, re.IGNORECASE | re.ASCII) for form in forms)


def read_date(text: str, order: str = "", *, is_stated: bool = False) -> float | None:
    """Return the days since 1970 of a date, with the time as a fraction; None for other texts.

    `order` decides of two numbers up to 12 whether the day or the month goes first; without it
    such a date is None, too. With points between them the day goes first. If the order is stated,
    years may have two digits.
    """
    stripped = text.strip()
    # Nearly every other text, without a search.
    if len(stripped) > _LONGEST or not any(char.isdigit() for char in stripped[-12:]):
        return None
    forms = (*_FORMS, *_SHORT_FORMS) if is_stated else _FORMS
    match = next((found for form in _compiled(forms) if (found := form.fullmatch(stripped))), None)
    if match is None:
        return None
    parts = match.groupdict()
    if "first" in parts:
        day, month = _day_and_month(parts, order)
    else:
        day = int(parts.get("day", 1))
        month = _MONTHS.get(parts["name"].lower(), 0) if "name" in parts else int(parts["month"])
    try:
        year = int(parts["year"])
        if len(parts["year"]) == 2:
            year += 100 * ((_FIRST_SHORT_YEAR - year + 99) // 100)
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    time = _time_of(parts)
    return None if time is None else float(days * DAY_US + time) / DAY_US


def read_dates(
    texts: Sequence[str], order: str = "", *, is_stated: bool = False
) -> NDArray[np.float64]:
    """Return what `read_date` returns for each text, NaN for None."""
    if all(map(_is_plain_iso, texts)):
        # The same numbers, many times as fast.
        try:
            stamps = np.array(texts, dtype="datetime64[us]")
        except ValueError:
            pass
        else:
            return stamps.astype(np.int64) / DAY_US
    days = [read_date(text, order, is_stated=is_stated) for text in texts]
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


def has_short_years(texts: Sequence[str]) -> bool:
    """Whether all texts may be dates with years of two digits."""
    orders = (DAY_FIRST, MONTH_FIRST)
    return bool(texts) and any(
        all(read_date(text, order, is_stated=True) is not None for text in texts)
        and not any(read_date(text, order) is not None for text in texts)
        for order in orders
    )


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
    if parts.get("hour") is None or parts["minute"] is None:
        return 0
    hour, minute = int(parts["hour"] or 0), int(parts["minute"])
    second = float((parts["second"] or "0").replace(",", "."))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    if hour > 23 or minute > 59 or second >= 61:
        return None
    minutes = 60 * hour + minute - _offset_of(parts.get("zone"))
    return 60_000_000 * minutes + round(second * 1_000_000)


def _offset_of(zone: str | None) -> int:
    """Return the minutes that a zone is ahead of UTC."""
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes
