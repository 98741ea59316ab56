"""`open_table`: a table as a delimited text, as JSON lines or as Parquet, with its header.

Layer: data. What is not as in plain CSV is recognised where only one reading is possible, and said
in a note with the setting that decides otherwise.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tui_trainer.config.sections.datasets import DelimitedSection
from tui_trainer.config.sections.huggingface import HuggingFaceSection
from tui_trainer.data.files.columns import NumberColumn, Table
from tui_trainer.data.files.csv import check_header, check_text, read_header
from tui_trainer.data.files.delimited import recognise_style
from tui_trainer.data.files.disk import DataFile, TableStyle, open_file
from tui_trainer.data.files.formats import format_of
from tui_trainer.data.files.header_row import column_names
from tui_trainer.data.files.huggingface import is_other_table, open_dataset
from tui_trainer.data.files.json_lines import read_keys
from tui_trainer.data.files.parquet import read_names
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, Problem

_BOMS = (
    # UTF-32 first: the mark of UTF-16 is its beginning.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NAMES = frozenset(
    {
        *("target", "drop", "categorical", "kinds", "group", "sequence", "step"),
        *("split", "series", "time", "missing_values_by_column"),
    }
)
"""The settings that name columns."""

Section = TypeVar("Section", bound=DelimitedSection)


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table of which the header was read."""

    file: DataFile
    header: tuple[str, ...]
    index: str
    """The name given to a first column without one, or an empty string."""
    notes: tuple[str, ...]
    split: str = ""
    """The column of the splits that the data come with; empty if there is none."""
    unnamed: tuple[str, ...] = ()
    """The names that were given to columns without one."""


def open_table(
    section: DelimitedSection, path: str | None = None, older: Mapping[str, Any] | None = None
) -> OpenTable:
    """Open the file of a section, or another one that is written like it.

    `older` is the preprocessing of a checkpoint. Versions before 0.2 did not normalise the names
    and categories in it, and if they are not, nothing is.

    Raises:
        BadInput: it is no table with names of columns; names the line.
        ConfigError: a setting does not fit it.
    """
    file, split, of_dataset = _opened(section, path)
    is_older = older is not None and not all(
        unicodedata.is_normalized("NFC", text) for text in _texts_in(older)
    )
    marks = None if section.missing_values is None else frozenset({"", *section.missing_values})
    style = TableStyle(",", marks, not is_older, section.decimal, section.thousands)
    file, header, notes = _with_header(replace(file, style=style), section, older)
    if file.style.is_normalised:
        header = [unicodedata.normalize("NFC", name) for name in header]
    unnamed = _name_columns(header) if file.style.format != "json lines" else {}
    notes += [
        f"column {n} has no name, and is called '{name}'" for n, name in unnamed.items() if n > 1
    ]
    check_header(file, header, may_be_numbers=file.style.format != "csv" or section.header == "yes")
    names = (*unnamed.values(),)
    return OpenTable(file, tuple(header), unnamed.get(1, ""), (*of_dataset, *notes), split, names)


def _name_columns(header: list[str]) -> dict[int, str]:
    """Name columns that have no name by their numbers, and return these, unless most have none.

    A row with few texts is a title, and no header.
    """
    unnamed = {n: f"column {n}" for n, name in enumerate(header, 1) if not name}
    is_index = [*unnamed] == [1] and len(header) > 1
    if {*unnamed.values()} & {*header} or not (is_index or 2 * len(unnamed) < len(header)):
        return {}
    for n, name in unnamed.items():
        header[n - 1] = name
    return unnamed


def _opened(section: DelimitedSection, path: str | None) -> tuple[DataFile, str, tuple[str, ...]]:
    """Return the file of a section or another one, its column of splits, and notes."""
    where = section.path if path is None else path
    if isinstance(section, HuggingFaceSection) and not (path is not None and is_other_table(path)):
        moved = section.model_copy(update={"path": where})
        opened = open_dataset(moved, with_splits=path is None)
        return opened.file, opened.split, opened.notes
    return open_file(where), "", ()


def _with_header(
    file: DataFile, section: DelimitedSection, older: Mapping[str, Any] | None
) -> tuple[DataFile, list[str], list[str]]:
    """Return the file with its style, the names of its columns, and notes."""
    notes: list[str] = []
    kind = format_of(file)
    if kind != "parquet":
        file, notes = _decoded(file, section.encoding)
        kind = format_of(file)
    file = replace(file, style=replace(file.style, format=kind))
    if kind == "parquet":
        return file, [name.strip() for name in read_names(file)], notes
    if not file.is_known_text:
        check_text(file)
    if kind == "json lines":
        return file, read_keys(file), notes
    file, style_notes = recognise_style(file, section, older)
    names = read_header(file)
    if not file.style.has_header:
        names = column_names(len(names))
    return file, names, [*notes, *style_notes]


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in nested plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts_in(key)
            yield from _texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)


def without_index(
    table: Table, opened: OpenTable, targets: Collection[str]
) -> tuple[Table, list[str]]:
    """Return the table without a first column that has no name and only counts the rows."""
    column = table.columns.get(opened.index)
    if column is None:
        return table, []
    note = f"the first column has no name, and is called '{opened.index}'"
    if opened.index in targets or not isinstance(column, NumberColumn):
        return table, [note]
    if len(table.columns) < 3 or not column.counts_rows:
        return table, [note]
    others = {name: other for name, other in table.columns.items() if name != opened.index}
    note = "the first column has no name and counts the rows; it is left out"
    return replace(table, columns=others), [note]


def with_normal_names(section: Section, opened: OpenTable) -> Section:
    """Return the section with the names of columns in the form of Unicode that the table has."""
    if not opened.file.style.is_normalised:
        return section
    changes: dict[str, Any] = {}
    for key in _NAMES & {*type(section).model_fields}:
        value = getattr(section, key)
        if isinstance(value, str):
            changes[key] = unicodedata.normalize("NFC", value)
        elif isinstance(value, Mapping):
            changes[key] = {unicodedata.normalize("NFC", name): v for name, v in value.items()}
        elif value is not None:
            changes[key] = tuple(unicodedata.normalize("NFC", name) for name in value)
    return section.model_copy(update=changes)


def _decoded(file: DataFile, encoding: str) -> tuple[DataFile, list[str]]:
    """Return the file in UTF-8, and a note if it was in another encoding that nobody stated."""
    stated, note = encoding, []
    if encoding == "auto":
        stated = next((name for mark, name in _BOMS if file.content[: len(mark)] == mark), "utf-8")
        if stated != "utf-8":
            note = [f"the encoding is {stated.upper()}, by its first bytes"]
    try:
        codec = codecs.lookup(stated)
    except (LookupError, ValueError):
        codec = None
    if codec is None or not codec._is_text_encoding:
        message = f"no encoding {clean(repr(stated), 80)}; such as utf-8, latin-1, cp1252, utf-16"
        raise ConfigError([Problem(message, "dataset.encoding")])
    if codec.name in ("utf-8", "utf-8-sig"):
        return file, note
    try:
        text = file.content[:].decode(stated)
    except UnicodeError as error:
        message = f"{file.name} is not {clean(stated, 40)}: {clean(str(error), 200)}"
        raise ConfigError([Problem(message, "dataset.encoding")]) from error
    content = text.encode("utf-8", "surrogatepass")
    return replace(file, content=content, is_raw=False, is_known_text=False), note
