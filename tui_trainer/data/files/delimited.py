"""`recognise_style`: finds the separator, the header and the first lines of a delimited text.

Layer: data. The first records decide. What is stated in the settings is not looked for.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from tui_trainer.config.sections.datasets import SEPARATORS, DelimitedSection
from tui_trainer.data.files.content import decoded_lines
from tui_trainer.data.files.csv import Records, is_missing, to_number
from tui_trainer.data.files.disk import DataFile
from tui_trainer.text.errors import BadInput

_TOLD = re.compile(r'"?sep=(?P<sign>[,;\t|])"?\s*', re.IGNORECASE)
"""A first line by which Excel is told the separator of a file."""
_LOOKED_AT = 200
"""The records that are looked at."""
_MOST_COMMENTS = 10_000


def recognise_style(
    file: DataFile, section: DelimitedSection, older: Mapping[str, Any] | None
) -> tuple[DataFile, list[str]]:
    """Return the file with the style of its text, and notes on what was not stated.

    `older` is the preprocessing of a checkpoint.
    """
    if section.comment not in ("auto", "none"):
        file = replace(file, style=replace(file.style, comment=section.comment))
    stated = SEPARATORS.get(section.separator)
    possible = [_after(file, count) for count in _possible_comments(file, section)]
    notes = []
    told = _TOLD.fullmatch(next(decoded_lines(file.content), ""))
    if told and stated in (None, told["sign"]) and section.comment == "auto":
        stated, possible = told["sign"], [_after(file, 1)]
        notes.append("the first line names the separator and is left out")
    tried = [(one, stated or recognise_separator(one)) for one in possible]
    # If the records differ in all of them, nothing is left out.
    file, separator = next(
        ((one, separator) for one, separator in tried if _width(one, separator) > 1), tried[0]
    )
    if (skipped := file.style.begin_line - 1) > 0 and not notes:
        lines = (
            "the first line begins with # and is"
            if skipped == 1
            else (f"the first {skipped} lines begin with # and are")
        )
        notes.append(f"{lines} left out; dataset.comment=none takes them for rows")
    if separator != "," and section.separator == "auto":
        word = next(word for word, sign in SEPARATORS.items() if sign == separator)
        notes.append(f"the separator is a {word}")
    style = replace(file.style, separator=separator)
    if section.header == "auto":
        rows = first_rows(replace(file, style=style))
        if _has_no_header(rows, older):
            style = replace(style, has_header=False)
            notes.append(
                f"the first row has numbers as all others, so the file has no header and its "
                f"columns are called 'column 1' to 'column {len(rows[0])}'; dataset.header=yes "
                "takes the first row for the header"
            )
    else:
        style = replace(style, has_header=section.header == "yes")
    return replace(file, style=style), notes


def column_names(width: int) -> list[str]:
    """Return the names of the columns of a table without a header."""
    return [f"column {position}" for position in range(1, width + 1)]


def _possible_comments(file: DataFile, section: DelimitedSection) -> list[int]:
    """Return how many lines at the top may be comments; likelier numbers first.

    The last line with a sign may be the header, as in `#chrom,start,end`.
    """
    if section.comment != "auto":
        return [0]
    lines = islice(decoded_lines(file.content), _MOST_COMMENTS)
    count = 0
    for line in lines:
        if not line.startswith("#"):
            break
        count += 1
    return list(dict.fromkeys((0, max(count - 1, 0), count)))


def _after(file: DataFile, lines: int) -> DataFile:
    """Return the file, of which so many lines at the top are left out."""
    if not lines:
        return file
    mark = 3 if file.content[:3] == b"\xef\xbb\xbf" else 0
    skipped = islice(decoded_lines(file.content), lines)
    begin = mark + sum(len(line.encode()) for line in skipped)
    return replace(file, style=replace(file.style, begin=begin, begin_line=1 + lines))


def recognise_separator(file: DataFile) -> str:
    """Return the separator by which the first records have equal numbers of fields, two or more.

    A comma goes first; of the others the one that makes the most fields.
    """
    widths = {sign: _width(file, sign) for sign in SEPARATORS.values()}
    if widths[","] > 1:
        return ","
    best = max(widths, key=lambda sign: widths[sign])
    return best if widths[best] > 1 else ","


def _width(file: DataFile, separator: str) -> int:
    """Return the number of fields of the first records, 0 if they differ."""
    lines: Iterator[str] = decoded_lines(file.content, file.style.begin)
    if comment := file.style.comment:
        lines = (line for line in lines if not line.startswith(comment))
    reader = csv.reader(lines, delimiter=separator)
    try:
        widths = {len(record) for record in islice(reader, _LOOKED_AT) if record}
    except csv.Error:
        return 0
    return widths.pop() if len(widths) == 1 else 0


def first_rows(file: DataFile) -> list[list[str]]:
    """Return the first records that can be read, with the header."""
    rows: list[list[str]] = []
    # What is wrong is told, with its line, when the table is read.
    with suppress(BadInput):
        rows.extend(record for _, record in islice(Records(file), _LOOKED_AT) if record)
    return rows


def _has_no_header(rows: Sequence[Sequence[str]], older: Mapping[str, Any] | None) -> bool:
    """Whether the first row is like the others: numbers where they have numbers, and texts that
    others have too where they have texts. `older` is the preprocessing of a checkpoint.
    """
    if older is not None:
        inputs = {*older.get("inputs", older)}
        if not rows or not inputs or inputs <= {name.strip() for name in rows[0]}:
            return False
        return inputs <= {*column_names(len(rows[0]))}
    # A row of another width is refused later, with its line.
    rows = [row for row in rows if len(row) == len(rows[0])]
    if len(rows) < 2:
        return False
    has_numbers = False
    for first, *others in zip(*rows, strict=True):
        numbers = [to_number(text) for text in others]
        if None in numbers or not any(map(_is_present, numbers)):
            if not is_missing(first) and first.strip() not in {text.strip() for text in others}:
                return False
            continue
        number = to_number(first)
        if number is None:
            return False
        has_numbers = has_numbers or _is_present(number)
    return has_numbers


def _is_present(number: float | None) -> bool:
    return number is not None and not math.isnan(number)
