"""Tables in other formats than plain CSV: packed, without header, with comments, JSON, Parquet."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
import pickle
import sqlite3
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import SequencesSection, TableSection
from tui_trainer.data.base.dataset import Dataset
from tui_trainer.data.files.columns import Column, NumberColumn, RequestedKind, Table
from tui_trainer.data.files.disk import open_file
from tui_trainer.data.files.input_rows import rows_of_table
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import OpenTable, open_table
from tui_trainer.data.load import load
from tui_trainer.data.new_samples import read_unseen
from tui_trainer.text.errors import BadInput


def section(path: Path, **settings: Any) -> TableSection:
    return TableSection.model_validate(
        {"type": "table", "path": str(path), "target": "y", **settings}
    )


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path: Path, content: bytes | str, **settings: Any) -> OpenTable:
    return open_table(section(written(path, content), **settings))


def read(path: Path, kind: RequestedKind = "auto", **settings: Any) -> Table:
    table = open_table(section(path, **settings))
    return read_table(table.file, table.header, dict.fromkeys(table.header, kind))


def cells(column: Column) -> list[Any]:
    """The cells of a column, None where one is missing."""
    if isinstance(column, NumberColumn):
        return [None if np.isnan(value) else value for value in column.values]
    return [None if code < 0 else column.texts[code] for code in column.codes]


def refusal(path: Path, content: bytes | str, **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        load(section(written(path, content), **settings))
    return str(caught.value).replace(f"{path.parent}/", "")


def rows_of(count: int = 60) -> list[dict[str, Any]]:
    return [
        {"a": n * 0.37, "n": n * n % 17, "kind": "uvw"[n % 3], "y": ["no", "yes"][n % 2]}
        for n in range(count)
    ]


def as_csv(rows: list[dict[str, Any]]) -> str:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


# Without a header


@pytest.mark.parametrize(
    ("rows", "has_header"),
    [
        (["5.1,3.5,u", "4.9,3.0,v", "4.7,3.2,u"], False),
        (["1,2,3", "4,5,6"], False),
        (["1,,3", "4,5,6", "NA,5,6"], False),
        # A name that is no value of its column is a header's.
        (["country,2019,2020", "France,3.1,3.2", "Italy,1.0,2.2"], True),
        ([",a,y", "0,1,2", "1,3,4"], True),
        (["u,v,y", "p,q,r", "p,q,r"], True),
        (["p,q,r", "p,q,r"], True),
        (["1,2,y", "3,4,5"], True),
        # One with decimals is none, unless they ascend as on a scale.
        (["Ann,1.5,u", "Ben,2.5,v", "Cy,0.5,u"], False),
        (["Ann,23,u", "Ben,25,v", "Cy,31,u"], True),
        (["2025-01-03,7,u", "2025-01-04,8,v", "2025-02-04,8,u"], False),
        (["sample,400.5,401,401.5,402,402.5", "p,1.5,2,3,4,5", "q,1,2,3,4,5"], True),
        # Texts alone need more rows.
        ([f"{'pq'[n % 2]},{'rs'[n % 3 % 2]},{'uv'[n % 5 % 2]}" for n in range(12)], False),
        (["kind,size,y", *(f"{'pq'[n % 2]},m,{'uv'[n % 5 % 2]}" for n in range(12))], True),
    ],
)
def test_a_header_is_what_differs_from_the_rows(
    tmp_path: Path, rows: list[str], has_header: bool
) -> None:
    table = opened(tmp_path / "t.csv", "\n".join(rows))
    assert table.file.style.has_header is has_header
    said = [note for note in table.notes if "dataset.header=yes" in note]
    assert len(said) == (not has_header)
    has_number = any(part.replace(".", "").isdigit() for part in rows[0].split(","))
    assert ("dataset.header=no" in "".join(table.notes)) == (has_header and has_number)
    if not has_header:
        assert table.header == ("column 1", "column 2", "column 3")


def test_a_header_is_what_the_setting_says(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    numbers = "2019,2020\n1.5,2.5\n"
    assert opened(path, numbers, header="yes").header == ("2019", "2020")
    assert opened(path, "a,y\n1.5,2.5\n", header="no").header == ("column 1", "column 2")
    assert cells(read(path, header="no").columns["column 1"]) == ["a", "1.5"]


def test_a_table_without_header_is_trained_resumed_and_predicted(tmp_path: Path) -> None:
    lines = "\n".join(f"{n * 0.5},{n % 7},{'uv'[n % 2]}" for n in range(60))
    own = section(written(tmp_path / "t.csv", lines), target="column 3")
    data = load(own)
    assert sum(map(len, (data.train, data.val, data.test))) == 60
    assert load(own, data.preprocessing, record=data.split_record).fingerprint == data.fingerprint
    new = written(tmp_path / "new.csv", "0.5,3\n1.5,4\n")
    unseen = read_unseen(own, data.preprocessing, str(new), data.info)
    assert len(unseen.inputs) == 2
    assert unseen.places == ("line 1", "line 2")
    assert unseen.rows is not None
    assert unseen.rows.header == ("column 1", "column 2")
    assert [*unseen.rows.read()] == [["0.5", "3"], ["1.5", "4"]]
    ragged = lines + "\n1,2\n"
    assert "2 fields, but the first row has 3" in refusal(
        tmp_path / "t.csv", ragged, target="column 3"
    )


def test_a_run_on_columns_that_are_called_so_keeps_its_header(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},{n % 7},{'uv'[n % 2]}" for n in range(60))
    own = section(written(tmp_path / "t.csv", f"column 1,column 2,y\n{rows}"))
    data = load(own)
    assert sum(map(len, (data.train, data.val, data.test))) == 60
    assert load(own, data.preprocessing, record=data.split_record).fingerprint == data.fingerprint


# Comments


def test_lines_with_a_sign_at_the_top_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table = opened(path, "# made by a program\n# in 2026\na;y\n1;2\n3;4\n")
    assert table.header == ("a", "y")
    assert "the first 2 lines begin with # and are left out; dataset.comment=none" in table.notes[0]
    assert read(path).lines.tolist() == [4, 5]
    assert "the first line begins with # and is" in opened(path, "# x\na,y\n1,2\n").notes[0]
    assert opened(path, "# x\na,y\n1,2\n", comment="none").header == ("# x",)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("#id,a,y\n1,2,3\n", ("#id", "a", "y")),
        ("##meta\n##more\n#id,a,y\n1,2,3\n", ("#id", "a", "y")),
        ("# one, two, three\na,b,y\n1,2,3\n", ("# one", "two", "three")),
    ],
)
def test_a_header_with_a_sign_stays_the_header(
    tmp_path: Path, text: str, header: tuple[str, ...]
) -> None:
    assert opened(tmp_path / "t.csv", text).header == header


def test_comments_that_are_stated_are_left_out_everywhere(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    text = '% top\na,y\n% first\n1,"two\n% no comment"\n%%\n3,4\n% last\n'
    assert opened(path, text, comment="%").header == ("a", "y")
    table = read(path, comment="%")
    assert table.lines.tolist() == [4, 7]
    assert cells(table.columns["y"]) == ["two\n% no comment", "4"]
    many = "a,y\n" + "".join(f"{n},{n}\n% {n}\n" if n % 1000 == 0 else f"{n},{n}\n"
                             for n in range(60_000))  # fmt: skip
    assert len(written(path, many).read_bytes()) > 256 << 10
    table = read(path, comment="%")
    assert cells(table.columns["a"]) == [*range(60_000)]
    assert table.lines[-1] == 60_061


# Packed


def test_zstd_is_unpacked_and_its_sum_is_of_the_packed_bytes(tmp_path: Path) -> None:
    plain = as_csv(rows_of()).encode()
    packed = pa.Codec("zstd").compress(plain, asbytes=True)
    file = open_file(str(written(tmp_path / "t.csv.zst", packed)))
    assert file.content[:] == plain
    assert file.sha256 == open_file(str(written(tmp_path / "same", packed))).sha256
    data = load(section(tmp_path / "t.csv.zst"))
    assert data.classes == ("no", "yes")
    for length in range(4, len(packed), 9):
        written(tmp_path / "cut.zst", packed[:length])
        with pytest.raises(BadInput, match="damaged or cut short"):
            open_file(str(tmp_path / "cut.zst"))
    with pytest.raises(BadInput, match="is not a zstd file"):
        open_file(str(written(tmp_path / "plain.zst", plain)))
    bomb = pa.Codec("zstd").compress(b"1" * 50_000_000, asbytes=True)
    with pytest.raises(BadInput, match="too much to hold in memory"):
        open_file(str(written(tmp_path / "bomb.zst", bomb)), max_bytes=1_000_000)


# Refused


def test_excel_and_other_binary_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", "a,y\n1,2\n")
    np.savez(tmp_path / "t.npz", x=np.zeros(3))
    np.save(tmp_path / "t.npy", np.zeros(3))
    feather.write_feather(pa.table({"a": [1]}), tmp_path / "t.feather", "uncompressed")
    with sqlite3.connect(tmp_path / "t.sqlite") as base:
        base.execute("create table t (a)")
    base.close()
    written(tmp_path / "t.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    written(tmp_path / "t.pkl", pickle.dumps(rows_of()))
    with zipfile.ZipFile(tmp_path / "t.ods", "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    written(tmp_path / "in.csv", "a,y\n1,2\n")
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "in.csv", "in.csv")
    written(tmp_path / "page.csv", "\n<!DOCTYPE html>\n<html>, no table</html>\n")
    written(tmp_path / "t.arff", "@RELATION r\n@attribute a numeric\n@data\n1\n")
    written(tmp_path / "lfs.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    written(tmp_path / "t.dta", b"<stata_dta><header><release>118\0")
    for name, text in {
        "t.xlsx": "is an Excel file; save it as CSV",
        "t.xls": "is an Excel file; save it as CSV",
        "t.zip": "is a zip archive; unpack it",
        "t.npz": "has NumPy arrays (.npz); set dataset.type=arrays to train on them",
        "t.npy": "is a NumPy array; set dataset.type=arrays to train on it",
        "t.feather": "is a Feather file; write it as CSV or Parquet",
        "t.sqlite": "is an SQLite database; export the table as CSV",
        "t.pkl": "is a Python pickle, which can run code and is never loaded",
        "t.ods": "is an OpenDocument spreadsheet; save it as CSV",
        "t.tar.gz": "is a tar archive; unpack it",
        "page.csv": "is a web page; was the download refused?",
        "t.arff": "is an ARFF file; write it as CSV",
        "lfs.csv": "is a pointer of Git LFS and not the file itself; fetch the file: git lfs pull",
        "t.dta": "is a Stata file; write it as CSV or Parquet (in pandas: pandas.read_stata",
    }.items():
        with pytest.raises(BadInput) as caught:
            load(section(tmp_path / name))
        assert f"{name}: {text}" in str(caught.value)


# JSON lines


def as_json(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_json_lines_are_read_as_the_same_table_in_csv(tmp_path: Path) -> None:
    rows = rows_of()
    both = [
        load(section(written(tmp_path / "t.csv", as_csv(rows)))),
        load(section(written(tmp_path / "t.jsonl", as_json(rows)))),
    ]
    assert_equal_data(*both)


def assert_equal_data(one: Dataset, other: Dataset) -> None:
    assert one.classes == other.classes
    assert one.preprocessing == other.preprocessing
    for mine, others in zip(*([d.train, d.val, d.test] for d in (one, other)), strict=True):
        assert tensors(mine).inputs.equal(tensors(others).inputs)
        assert tensors(mine).targets.equal(tensors(others).targets)


def test_values_of_json_become_numbers_texts_and_gaps(tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.jsonl",
        '{"a": 1.50, "flag": true, "text": "e\\u0301", "y": 1e3}\r\n'
        "\n"
        '{"flag": false, "a": null, "text": "", "y": -0, "late": "x"}\n'
        '{"a": 9007199254740992, "text": "NA", "y": 2, "list": [1, {"b": 2}]}',
    )
    table = open_table(section(path))
    assert table.header == ("a", "flag", "text", "y", "late", "list")
    wanted: dict[str, RequestedKind] = {name: "auto" for name in table.header if name != "list"}
    rows = read_table(table.file, table.header, wanted)
    assert {name: cells(column) for name, column in rows.columns.items()} == {
        "a": [1.5, None, 9007199254740992.0],
        "flag": ["true", "false", None],
        "text": ["é", None, None],
        "y": [1000.0, 0.0, 2.0],
        "late": [None, "x", None],
    }
    assert rows.lines.tolist() == [1, 3, 4]
    said = refusal(path, path.read_bytes())
    assert said.startswith("t.jsonl:4: the key 'list' has a list; write one key for each value")
    written_rows = rows_of_table(table.file, table.header)
    assert [*written_rows.read()][2] == ["9007199254740992", "", "NA", "2", "", '[1, {"b": 2}]']


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1, "y": ', "t.jsonl:3: not valid JSON: "),
        ('{"a": 01, "y": 1}', "t.jsonl:3: not valid JSON: "),
        ('{"": 1, "a": 1, "y": 1}', "t.jsonl: column 3 has no name; give it one"),
        ("[1, 2]", "t.jsonl:3: not a JSON object; each line must be one"),
        ('{"a": 1, "a": 2, "y": 1}', "t.jsonl:3: two keys are 'a'"),
        ('{"a": {"b": {"b": 1, "b": 2}}}', "t.jsonl:3: two keys are 'b'"),
        ('{"a": {"b": 1}, "y": 1}', "t.jsonl:3: the key 'a' has an object"),
        ('{"a": Infinity, "y": 1}', "t.jsonl:3: column 'a' has 'Infinity', which is not a finite"),
        ('{"a": "\\ud800", "y": 1}', "t.jsonl:3: not valid JSON: "),
        ('{"a": "\\u0000", "y": 1}', "t.jsonl:3: a NUL character in a text"),
        ('{"a": ' + "[" * 100_000 + "1}", "t.jsonl:3: not valid JSON: "),
        ('{"a": ' + "9" * 5000 + ', "y": 1}', "t.jsonl:3: column 'a' has '999999"),
    ],
)
def test_what_is_wrong_in_json_is_named_by_line_and_key(
    tmp_path: Path, line: str, message: str
) -> None:
    good = '{"a": 1, "y": 0}\n'
    assert refusal(tmp_path / "t.jsonl", good * 2 + line + "\n" + good * 20).startswith(message)


def test_a_key_that_comes_late_and_other_json_is_refused(tmp_path: Path) -> None:
    lines = as_json(rows_of(1200)) + '{"new\x7f": 1}\n'
    said = refusal(tmp_path / "t.jsonl", lines)
    assert said.startswith("t.jsonl:1201: the key 'new")
    assert "is in none of the first 1,000 rows; add" in said
    assert "\x7f" not in said
    for text in ("[\n" + '{"a": 1}]', '[{"a": 1}]', "[[1, 2], [3, 4]]"):
        assert "is a JSON array; write it as .jsonl" in refusal(tmp_path / "t.json", text)
    assert "is one JSON document" in refusal(tmp_path / "t.json", '{\n  "rows": [1]\n}\n')


# Parquet


def test_parquet_is_read_as_the_same_table_in_csv(tmp_path: Path) -> None:
    rows = rows_of()
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet", row_group_size=7)
    both = [
        load(section(written(tmp_path / "t.csv", as_csv(rows)))),
        load(section(tmp_path / "t.parquet")),
    ]
    assert_equal_data(*both)
    unseen = read_unseen(
        section(tmp_path / "t.csv"),
        both[0].preprocessing,
        str(tmp_path / "t.parquet"),
        both[0].info,
    )
    assert len(unseen.inputs) == 60
    assert unseen.places[0] == "row 1"
    assert unseen.rows is not None
    assert [*unseen.rows.read()][1] == ["0.37", "1", "v", "yes"]


def stored(path: Path, values: Any, kind: pa.DataType | None = None) -> Path:
    column = values if isinstance(values, pa.Array) else pa.array(values, kind)
    parquet.write_table(pa.table({"a": column}), path)
    return path


NOON = datetime.datetime(2026, 1, 2, 12, 30)
UTC = datetime.UTC
DAY = datetime.date(2026, 1, 2)
MS = datetime.timedelta(microseconds=5000)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 2**53], pa.int64(), [1.0, None, 2.0**53]),
        ([2**64 - 2048, 3], pa.uint64(), [2.0**64 - 2048, 3.0]),
        ([0.1, None, float("nan")], pa.float32(), [float(np.float32(0.1)), None, None]),
        ([0.5, 2.0], pa.float16(), [0.5, 2.0]),
        ([decimal.Decimal("1.10"), None], pa.decimal128(5, 2), [1.1, None]),
        ([True, None, False], pa.bool_(), ["true", None, "false"]),
        ([DAY, None], pa.date32(), ["2026-01-02", None]),
        ([NOON, None], pa.timestamp("ns"), ["2026-01-02T12:30:00", None]),
        (
            [NOON, NOON + MS],
            pa.timestamp("us"),
            ["2026-01-02T12:30:00.000", "2026-01-02T12:30:00.005"],
        ),
        ([NOON.replace(tzinfo=UTC)], pa.timestamp("s", "Europe/Paris"), ["2026-01-02T12:30:00Z"]),
        ([datetime.time(1, 2, 3)], pa.time32("s"), ["01:02:03.000"]),
        (["u", None, "NA", "e\u0301"], pa.large_string(), ["u", None, None, "é"]),
        (["1", "2.5"], pa.string(), [1.0, 2.5]),
        (pa.array(["u", "v", None, "u"]).dictionary_encode(), None, ["u", "v", None, "u"]),
    ],
)
def test_values_of_parquet_become_numbers_texts_and_gaps(
    tmp_path: Path, values: Any, kind: pa.DataType | None, expected: list[Any]
) -> None:
    table = read(stored(tmp_path / "t.parquet", values, kind))
    assert cells(table.columns["a"]) == expected
    assert table.lines.tolist() == [*range(1, len(expected) + 1)]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([2**60 + 1, None, -7], pa.int64(), [str(2**60 + 1), None, "-7"]),
        ([0.1, 2.0, None], pa.float32(), ["0.1", "2", None]),
        ([0.1, 1e300, float("nan")], pa.float64(), ["0.1", "1e+300", None]),
    ],
)
def test_numbers_of_parquet_are_categories_where_that_is_stated(
    tmp_path: Path, values: list[Any], kind: pa.DataType, expected: list[Any]
) -> None:
    table = read(stored(tmp_path / "t.parquet", values, kind), "category")
    assert cells(table.columns["a"]) == expected


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_whole_numbers_that_would_be_rounded_are_texts(tmp_path: Path, ending: str) -> None:
    first = 2**53
    values, path = [first + step for step in range(30)], tmp_path / f"t.{ending}"
    if ending == "csv":
        path.write_text("\n".join(["a", *map(str, values), ""]))
    elif ending == "jsonl":
        path.write_text("".join(f'{{"a": {value}}}\n' for value in values))
    else:
        stored(path, values, pa.int64())
    column = read(path).columns["a"]
    assert cells(column) == [str(value) for value in values]
    line = {"csv": "line 3", "jsonl": "line 2", "parquet": "row 2"}[ending]
    assert read(path).notes == (
        f"a: its values are texts, because a number would be rounded, as {first + 1} in {line}; "
        "dataset.kinds={a: number} takes them for numbers",
    )
    # A run of before has them as numbers, and so have those who ask for it.
    for kind in ("auto_rounded", "number"):
        rounded = read(path, kind)
        assert cells(rounded.columns["a"]) == [float(value) for value in values]
        assert rounded.notes == ()


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1.0, float("inf")], pa.float64(), r"t.parquet:2: column 'a' has 'inf', which is not"),
        ([[1], [2]], pa.list_(pa.int64()), r"column 'a' has values of the type list.*dataset.drop"),
        ([{"b": 1}], None, r"column 'a' has values of the type struct"),
        ([b"x"], pa.binary(), r"column 'a' has values of the type binary"),
        ([datetime.timedelta(1)], pa.duration("s"), r"values of the type duration"),
        ([None, None], pa.null(), r"column 'a' has no values at all"),
        ([], pa.int64(), r"t.parquet: no rows"),
    ],
)
def test_what_parquet_has_that_is_no_number_or_text_is_refused(
    tmp_path: Path, values: list[Any], kind: pa.DataType | None, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        read(stored(tmp_path / "t.parquet", values, kind))


def test_marks_of_a_gap_hold_for_numbers_of_parquet(tmp_path: Path) -> None:
    path = stored(tmp_path / "t.parquet", [1, -9, 3], pa.int32())
    assert cells(read(path, missing_values=["-9"]).columns["a"]) == [1.0, None, 3.0]


def test_names_of_parquet_may_be_numbers_and_have_points(tmp_path: Path) -> None:
    rows = [{"0": n, "1.5": n % 7, "a.b": n % 3, "list": [n], "y": "uv"[n % 2]} for n in range(60)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    data = load(section(tmp_path / "t.parquet", drop=["list", "0"]))
    assert [*data.preprocessing["inputs"]] == ["1.5", "a.b"]
    table = open_table(section(tmp_path / "t.parquet"))
    assert [*rows_of_table(table.file, table.header).read()][1] == ["1", "1", "1", "[1]", "v"]
    line = '{"a": 1.50, "b": {"c": [1, 2.50, "é", null, true]}, "y": "u"}\n'
    table = open_table(section(written(tmp_path / "t.jsonl", line)))
    assert [*rows_of_table(table.file, table.header).read()] == [
        ["1.50", '{"c": [1, 2.50, "é", null, true]}', "u"]
    ]


def test_a_damaged_parquet_file_is_refused_in_one_line(tmp_path: Path) -> None:
    parquet.write_table(pa.Table.from_pylist(rows_of()), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for content in (whole[:40], whole[:-9], whole[:-300] + whole[-8:], b"PAR1" * 30):
        said = refusal(tmp_path / "cut.parquet", content)
        assert said.startswith("cut.parquet: cannot be read as Parquet (")
        assert "\n" not in said
    parquet.write_table(
        pa.Table.from_pylist(rows_of()),
        tmp_path / "sums.parquet",
        compression="none",
        write_page_checksum=True,
    )
    flipped = bytearray((tmp_path / "sums.parquet").read_bytes())
    flipped[flipped.index(struct.pack("<d", 0.37)) + 3] ^= 1
    assert "flipped.parquet: cannot be read as Parquet (could not verify page integrity" in refusal(
        tmp_path / "flipped.parquet", bytes(flipped)
    )
    texts = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, *map(pa.py_buffer, (bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]), b"x\xff"))],
    )
    parquet.write_table(pa.table({"a": texts, "y": texts}), tmp_path / "texts.parquet")
    with pytest.raises(BadInput, match=r"cannot be read as Parquet \(Invalid UTF8"):
        read(tmp_path / "texts.parquet")
    packed = tmp_path / "t.parquet.gz"
    packed.write_bytes(gzip.compress(whole))
    assert load(section(packed)).classes == ("no", "yes")


def test_sequences_are_read_from_parquet_and_json_lines(tmp_path: Path) -> None:
    rows = [
        {"id": f"s{n // 5}", "t": n % 5, "a": n * 0.5, "y": "uv"[n // 5 % 2]} for n in range(200)
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    written(tmp_path / "t.jsonl", as_json(rows))
    written(tmp_path / "t.csv", as_csv(rows))
    values = {"type": "sequences", "sequence": "id", "step": "t", "target": "y"}
    csv, *others = [
        load(SequencesSection.model_validate({**values, "path": str(tmp_path / name)}))
        for name in ("t.csv", "t.parquet", "t.jsonl")
    ]
    for other in others:
        assert_equal_data(csv, other)
