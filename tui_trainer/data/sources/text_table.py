"""`read_text_table`: the texts in a column of a table, to be continued token by token.

Layer: data. A text is known by its content, so that rows that are added later move no other. As in
other columns, white space around it is left out.
"""

from __future__ import annotations

from hashlib import blake2b

from tui_trainer.config.sections.datasets import DelimitedSection
from tui_trainer.config.sections.text_datasets import TextSection
from tui_trainer.data.files.columns import TextColumn
from tui_trainer.data.files.csv import no_column
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import open_table
from tui_trainer.data.files.texts import Text, Texts, in_bytes
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted


def read_text_table(section: TextSection, column: str) -> Texts:
    """Read the texts of a column, each once, up to `max_bytes` of them.

    Raises:
        BadInput: the file cannot be read, or has no text in the column.
        ConfigError: there is no such column.
    """
    delimited, known = DelimitedSection(type="table", path=section.path), None
    if section.is_of_earlier_run:
        delimited, known = delimited.for_earlier_run(), {column: None}
    opened = open_table(delimited, older=known)
    file, header = opened.file, opened.header
    if column not in header:
        raise ConfigError([Problem(no_column(column, file, header), "dataset.column")])
    table = read_table(file, header, {column: "category"})
    cells = table.columns[column]
    assert isinstance(cells, TextColumn), "a category has texts"
    missing = cells.gap_count
    copies = len(cells.missing) - missing - len(cells.texts)
    texts: list[Text] = []
    total = left_out = with_nul = 0
    for cell in cells.texts:
        content = cell.encode("utf-8", "surrogatepass")
        if b"\0" in content:
            with_nul += 1
        elif total + len(content) > section.max_bytes:
            left_out += 1
        else:
            total += len(content)
            texts.append(Text(blake2b(content, digest_size=16).hexdigest(), content))
    notes = [
        f"{counted(count, 'row')} left out: {reason}"
        for count, reason in (
            (missing, "without a text"),
            (copies, "copy of another row"),
            (with_nul, "with a NUL, which is not text"),
            (left_out, f"beyond dataset.max_bytes, {in_bytes(section.max_bytes)}"),
        )
        if count
    ]
    if not texts:
        shown = clean(column, 80)
        raise BadInput("; ".join([f"{file.name}: no text is left in the column '{shown}'", *notes]))
    return Texts(file.name, tuple(texts), file.sha256, (*opened.notes, *notes), "row")


def find_only_text(section: DelimitedSection) -> str:
    """Return the only column of JSON lines or Parquet if it has texts, or an empty string."""
    opened = open_table(section)
    if opened.file.style.format == "csv" or len(opened.header) != 1:
        return ""
    [name] = opened.header
    table = read_table(opened.file, opened.header, {name: "auto"})
    return name if isinstance(table.columns[name], TextColumn) else ""
