"""`recognise_style`: finds the separator, the header and the first lines of a delimited text.

Layer: data. The first records decide. What is stated in the settings is not looked for.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from tui_trainer.config.sections.datasets import SEPARATORS, DelimitedSection
from tui_trainer.data.files.content import decoded_lines
from tui_trainer.data.files.csv import Records
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.header_row import has_no_header, number_in_header
from tui_trainer.data.files.number_forms import DECIMAL_COMMA
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
    is_earlier = section.is_of_earlier_run
    if section.comment not in ("auto", "none"):
        file = replace(file, style=replace(file.style, comment=section.comment))
    stated = SEPARATORS.get(section.separator)
    possible = [_after(file, count) for count in _possible_comments(file, section)]
    notes = []
    told = _TOLD.fullmatch(next(decoded_lines(file.content), ""))
    if told and stated in (None, told["sign"]) and section.comment == "auto":
        stated, possible = told["sign"], [_after(file, 1)]
        notes.append("the first line names the separator and is left out")
    tried = [(one, stated or recognise_separator(one, is_earlier)) for one in possible]
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
    file = replace(file, style=replace(file.style, separator=separator))
    if not is_earlier:
        file = _with_quotes(file, is_new=older is None)
        if file.style.skips_space and older is None:
            notes.append("spaces before quotes are left out, and so are the quotes")
    file, header_notes = _with_header(file, section, older)
    return file, [*notes, *header_notes]


def _with_header(
    file: DataFile, section: DelimitedSection, older: Mapping[str, Any] | None
) -> tuple[DataFile, list[str]]:
    """Return the file with a style that says whether it has a header, and a note in doubt."""
    if section.header != "auto":
        return replace(file, style=replace(file.style, has_header=section.header == "yes")), []
    rows = first_rows(file)
    if has_no_header(rows, older):
        note = (
            "the first row is like all others, so the file has no header and its columns are "
            f"called 'column 1' to 'column {len(rows[0])}'; dataset.header=yes takes the first row "
            "for the header"
        )
        return replace(file, style=replace(file.style, has_header=False)), [note]
    if older is None and (number := number_in_header(rows)):
        note = (
            f"the first row is the header, although it has {number} above numbers; "
            "dataset.header=no takes it for data"
        )
        return file, [note]
    return file, []


def _with_quotes(file: DataFile, *, is_new: bool) -> DataFile:
    """Return the file with a style in which spaces may come before quotes, if they do.

    Raises:
        BadInput: the fields of a new run are in single quotes, which would become a part of all
            texts.
    """
    rows = first_rows(file) if is_new else []
    fields = [text for row in rows for text in row if text.strip()]
    if len(rows) > 1 and all(map(_is_in_single_quotes, fields)):
        raise BadInput(
            f"{file.name}:{file.style.begin_line}: all fields are in single quotes; write double "
            'ones in their place: sed "s/\'/\\"/g" FILE > NEW_FILE'
        )
    spaced_quote = re.compile(rf'(?:^|{re.escape(file.style.separator)}) +"')
    lines = islice(_first_lines(file), _LOOKED_AT)
    if not any(spaced_quote.search(line) for line in lines):
        return file
    spaced = replace(file, style=replace(file.style, skips_space=True))
    return spaced if _width(spaced, file.style.separator) else file


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


def recognise_separator(file: DataFile, is_of_earlier_run: bool = False) -> str:
    """Return the separator by which the first records have equal numbers of fields, two or more.

    A comma goes first, unless all commas separate decimals in fields of another separator; of the
    others the one that makes the most fields. In an earlier run a comma went first in any case.
    """
    widths = {sign: _width(file, sign) for sign in SEPARATORS.values()}
    others = [sign for sign, width in widths.items() if width > 1 and sign != ","]
    if widths[","] > 1:
        if is_of_earlier_run:
            return ","
        others = [sign for sign in others if _has_decimal_commas(file, sign)]
    return max(others, key=lambda sign: widths[sign], default=",")


def _has_decimal_commas(file: DataFile, separator: str) -> bool:
    """Whether commas in the first fields, if these have another separator, separate decimals."""
    rows = _records(file, separator, skips_space=False)
    fields = [text for row in rows[1:] for text in row if "," in text]
    return bool(fields) and None not in map(DECIMAL_COMMA.plain, fields)


def _width(file: DataFile, separator: str) -> int:
    """Return the number of fields of the first records, 0 if they differ."""
    for skips_space in (False, True):
        with suppress(csv.Error):
            widths = {*map(len, _records(file, separator, skips_space=skips_space))}
            if len(widths) == 1:
                return widths.pop()
    return 0


def _records(file: DataFile, separator: str, *, skips_space: bool) -> list[list[str]]:
    """Return the first records that are not empty; csv.Error if they cannot be told."""
    reader = csv.reader(_first_lines(file), delimiter=separator, skipinitialspace=skips_space)
    return [
        record for record in islice(reader, _LOOKED_AT) if "".join(record).strip() or record[1:]
    ]


def _first_lines(file: DataFile) -> Iterator[str]:
    """Yield the lines that are no comments, from that of the first record on."""
    lines: Iterator[str] = decoded_lines(file.content, file.style.begin)
    if comment := file.style.comment:
        lines = (line for line in lines if not line.startswith(comment))
    return lines


def first_rows(file: DataFile) -> list[list[str]]:
    """Return the first records that can be read, with the header."""
    rows: list[list[str]] = []
    # What is wrong is told, with its line, when the table is read.
    with suppress(BadInput):
        rows.extend(record for _, record in islice(Records(file), _LOOKED_AT) if record)
    return rows


def _is_in_single_quotes(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == "'"
