"""Reading by pyarrow gives what the careful reader gives, bit for bit and word for word."""

from __future__ import annotations

import csv
import io
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.data.files.columns import NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.files.csv import check_text, read_header
from tui_trainer.data.files.csv_blocks import CsvReader
from tui_trainer.data.files.disk import MOST_HELD, DataFile, TableStyle, open_file
from tui_trainer.data.files.table_reader import collect_table, read_table
from tui_trainer.text.errors import BadInput

NORMALISED = TableStyle(is_normalised=True)
Columns = dict[str, tuple[str, bytes, tuple[str, ...]]]


def contents(table: Table) -> tuple[Columns, list[int], tuple[str, ...]]:
    """Everything in a table, numbers as their bits."""
    columns: Columns = {}
    for name, column in table.columns.items():
        if isinstance(column, NumberColumn):
            columns[name] = (column.form, column.values.tobytes(), ())
        else:
            columns[name] = ("", column.codes.tobytes(), column.texts)
    return columns, table.lines.tolist(), table.notes


def outcome(content: bytes, way: str, style: TableStyle, kinds: list[RequestedKind]) -> Any:
    """Read a file in one of the ways, and return the table or the message."""
    file = DataFile("t.csv", content, "", style)
    try:
        check_text(file)
        header = read_header(file)
        requested = dict(zip(header, kinds, strict=False))

        def read(wanted: Any) -> Any:
            reader = CsvReader(file, header, wanted, block_bytes=64, careful_bytes=8)
            return reader.fast_rows() if way == "fast" else reader.careful_rows()

        return contents(collect_table(read, file, requested, classes=header[0]))
    except BadInput as refused:
        return str(refused)


def assert_same(
    content: bytes,
    style: TableStyle = NORMALISED,
    kinds: tuple[RequestedKind, ...] = ("auto_target", "auto", "category"),
) -> Any:
    ways = [outcome(content, way, style, [*kinds]) for way in ("fast", "careful")]
    assert ways[0] == ways[1]
    return ways[0]


_NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers(-(2**120), 2**120).map(str),
    st.floats(width=32).map("{:.4f}".format),
    st.integers(0, 2**64 - 1).map(
        lambda bits: f"{struct.unpack('<d', struct.pack('<Q', bits))[0]:.25g}"
    ),
    st.sampled_from(["4.9e-324", "2.4703282292062328e-324", "1e400", "0.1", "9007199254740993"]),
    st.sampled_from(["+1.5", "-0", ".5", "5.", "1e5", "1E-3", " 12 ", "1_0", "0x1", "1d5", "-nan"]),
    st.sampled_from(["5 EUR", "$7", "(1,5)", "12 %", "\u22123", "007", "120-", "1,234"]),
    st.sampled_from(
        ["NA", " n/a", "nan", "NaN", "nan(1)", "", "?", "-", "null", "inf", "iNf", "٣"]
    ),
)
_TEXTS = st.one_of(
    st.sampled_from(["u", "v", "é", "e\u0301", " u ", "\u00a0NA", "NA", "K", "1;2", "$5", "12 %"]),
    st.sampled_from(
        ['"x"', '""', '"a""b"', '"a,b"', '"two\nlines"', '"\r\n"', '"1,234.5"', '"1,5"']
    ),
)
_ODD = st.sampled_from(
    ['"x"y', '5" pipe', '"', 'a"b"', '""x', '"open', "\r", "x\ry", "a,b", "\n", "\ufeff1"]
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Mostly valid CSV of three columns, each with cells of one kind."""
    kinds = [draw(st.sampled_from([_NUMBERS, _NUMBERS, _TEXTS])) for _ in range(3)]
    rows = [[draw(kind) for kind in kinds] for _ in range(draw(st.integers(0, 12)))]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        if rows:
            row = rows[draw(st.integers(0, len(rows) - 1))]
            row[draw(st.integers(0, len(row) - 1))] = draw(st.one_of(_ODD, _TEXTS))
    if rows and draw(st.sampled_from([False, False, False, True])):
        rows[draw(st.integers(0, len(rows) - 1))] = draw(st.sampled_from([[], ["1"], list("1234")]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    lines = [",".join(row) for row in [["a", "b", "c"], *rows]]
    return (end.join(lines) + draw(st.sampled_from([end, "", end * 2]))).encode()


@given(files(), st.sampled_from([None, frozenset({"", "-", "1"}), frozenset({"", "nan", "é"})]))
def test_blocks_are_read_as_the_careful_reader_reads_them(
    content: bytes, marks: frozenset[str] | None
) -> None:
    assert_same(content, TableStyle(marks=marks, is_normalised=True))


@given(st.lists(_NUMBERS, min_size=1, max_size=40))
def test_numbers_have_the_same_bits(cells: list[str]) -> None:
    assert_same("\n".join(["a", *(cell or "NA" for cell in cells)]).encode(), kinds=("number",))


def test_a_long_table_is_mostly_read_by_blocks_and_equals_the_careful_one() -> None:
    rows = [f'{n / 7!r},"text {n % 5}",{"NA" if n % 9 == 0 else n}' for n in range(3000)]
    rows[700] = '1.5,5" pipe,7'
    rows[1900] = '2.5,"two\nlines, ""quoted""",8'
    content = "\n".join(["a,b,c", *rows]).encode()
    file = DataFile("t.csv", content, "")
    reader = CsvReader(file, ["a", "b", "c"], ["a", "b", "c"], block_bytes=8192, careful_bytes=512)
    kinds = [type(rows).__name__ for rows in reader.fast_rows()]
    assert kinds.count("ArrowTexts") > 8
    assert 0 < kinds.count("RecordRows") < 4
    columns, lines, _ = assert_same(content)
    assert len(lines) == 3000
    assert lines[-1] == 3002
    assert '"quoted"' in "".join(columns["b"][2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2", "t.csv:152: 2 fields, but the header has 3"),
        ("1,2,3,4", "t.csv:152: 4 fields, but the header has 3"),
        ('1,"x"y,3', "t.csv:152: not valid CSV: ',' expected after '\"'"),
        ("", "t.csv:152: an empty line; remove it"),
        ("1,2,many", "t.csv:152: column 'c' has 'many' among numbers; correct it, leave it"),
        ("1,2,inf", "t.csv:152: column 'c' has 'inf', which is not a finite number"),
        ("\ufeff1,2,3", "t.csv:152: column 'a' has '\\\\ufeff1' among numbers; correct"),
        ('1,"x,3', "t.csv:152: a quote opens here and never closes"),
        ("1," + "x" * (csv.field_size_limit() + 1) + ",3", "t.csv:152: a field of more than 128"),
    ],
)
def test_fault_38_what_is_wrong_far_down_is_named_by_its_line(row: str, message: str) -> None:
    rows = [f"{n},text,{n * 2}" for n in range(300)]
    rows[150] = row  # dozens of blocks down
    said = assert_same("\n".join(["a,b,c", *rows, ""]).encode(), kinds=("auto", "auto", "auto"))
    assert said.startswith(message)


def test_a_mark_of_the_byte_order_below_the_header_is_a_part_of_a_text() -> None:
    said = assert_same("a,b,c\n\ufeff1,u,2\n".encode() + b"3,v,4\n" * 30, kinds=("auto",) * 3)
    assert said.startswith("t.csv:2: column 'a' has '\\\\ufeff1' among numbers")


def test_the_first_of_several_bad_cells_is_named() -> None:
    rows = [["1", "2", "3"] for _ in range(200)]
    rows[150][0], rows[120][2] = "inf", "inf"
    lines = [",".join(row) for row in rows]
    said = assert_same("\n".join(["a,b,c", *lines]).encode(), kinds=("auto", "auto", "auto"))
    assert "t.csv:122: column 'c' has 'inf', which is not a finite number" in said


def test_a_column_that_turns_out_as_text_is_read_again() -> None:
    rows = [f"{n},{n if n < 100 else f'name {n}'},{n % 2}" for n in range(300)]
    columns, _, notes = assert_same("\n".join(["a,b,c", *rows]).encode())
    assert columns["b"][2][:2] == ("0", "1")
    assert len(columns["b"][2]) == 300
    assert notes == ("b: read as categories, because line 102 has 'name 100'; 100 of its values "
                     "are numbers",)  # fmt: skip


def test_a_large_file_is_read_from_the_disk_and_refused_if_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    line = b"1.25,2.5,word\n"
    path.write_bytes(b"a,b,c\n" + line * (MOST_HELD // len(line) + 1))
    file = open_file(str(path))
    kinds: dict[str, RequestedKind] = {"a": "auto", "c": "category"}
    table = read_table(file, ["a", "b", "c"], kinds)
    assert len(table.lines) == MOST_HELD // len(line) + 1
    assert file.sha256 == open_file(str(path)).sha256
    with path.open("ab") as more:
        more.write(line)
    with pytest.raises(BadInput, match=r"large\.csv: changed while it was read"):
        read_table(file, ["a", "b", "c"], kinds)


def test_well_formed_files_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "normal": generator.normal(size=4000),
            "scaled": generator.normal(size=4000) * 10.0 ** generator.integers(-300, 300, 4000),
            "whole": generator.integers(-(10**15), 10**15, 4000),
            "gaps": np.where(generator.random(4000) < 0.1, np.nan, generator.random(4000)),
            "text": generator.choice(["plain", 'with "quotes"', "two\nlines", "é, ü"], 4000),
        }
    )
    text = io.StringIO()
    frame.to_csv(text, index=False)
    content = text.getvalue().encode()
    assert len(content) > 256 << 10
    read = read_table(
        DataFile("t.csv", content, ""), [*frame], dict.fromkeys(frame, "auto")
    ).columns
    again = pandas.read_csv(io.StringIO(text.getvalue()))
    for name in ("normal", "scaled", "whole", "gaps"):
        column = read[name]
        assert isinstance(column, NumberColumn)
        assert np.array_equal(column.values, again[name].to_numpy(np.float64), equal_nan=True)
    texts = read["text"]
    assert isinstance(texts, TextColumn)
    assert [texts.texts[code] for code in texts.codes] == again["text"].tolist()
    assert not math.isnan(float(texts.codes[0]))


_WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import read_table
for rows in (10, 100_000):
    table = read_table(DataFile("t.csv", b"a,b\\n" + b"1,x\\n" * rows, ""), "ab", {"a": "auto"})
    print(len(table.lines), *table.notes)
"""


def test_without_pyarrow_tables_are_read_by_the_careful_reader() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first == "10"
    assert second.startswith("100000 read slowly, because pyarrow cannot be imported: ")


_PLAIN = """
import sys
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import read_table
content = b"a,b\\n" + b"1,x\\n,y\\n" * 50_000
read_table(DataFile("t.csv", content, ""), "ab", {"a": "auto", "b": "auto"})
print("pyarrow" in sys.modules, "pandas" in sys.modules)
"""


def test_pandas_is_not_imported_where_it_is_installed() -> None:
    """It takes longer than reading most files."""
    done = subprocess.run([sys.executable, "-c", _PLAIN], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
