from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.data.files.csv import check_text, read_chunks, read_header
from tui_trainer.data.files.disk import DataFile
from tui_trainer.text.errors import BadInput


def read(content: bytes, *, header: bool = True) -> list[tuple[int, list[str]]]:
    """All records of a file as the sources read it, with their lines."""
    file = DataFile("rows.csv", content, "")
    check_text(file)
    width = len(read_header(file))
    return [
        row
        for chunk in read_chunks(file, width, f"and {width} are needed", header=header)
        for row in zip(chunk.lines, chunk.records, strict=True)
    ]


def refusal(content: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        read(content)
    return str(caught.value)


def test_records_carry_the_line_they_begin_in() -> None:
    content = b'a,b\n1,"two\nlines"\n3,4\n'

    assert read(content) == [(2, ["1", "two\nlines"]), (4, ["3", "4"])]
    assert read(content, header=False)[0] == (1, ["a", "b"])


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_fault_38_an_empty_file_is_refused(content: bytes) -> None:
    assert refusal(content) == "rows.csv: the file is empty"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_fault_38_every_kind_of_line_end_is_read_and_counted(end: bytes) -> None:
    lines = [b"a,b", b"1,2", b"3,4"]

    assert read(end.join(lines)) == [(2, ["1", "2"]), (3, ["3", "4"])]
    assert refusal(end.join([*lines, b"5"])).startswith("rows.csv:4: 1 field,")
    assert refusal(end.join([*lines, b"\xe9,1"])).startswith("rows.csv:4: byte 0xe9")


def test_fault_38_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    file = DataFile("rows.csv", b"\xef\xbb\xbfa , b\n1,2\n", "")

    assert read_header(file) == ["a", "b"]


def test_fault_38_ragged_rows_are_refused_by_line() -> None:
    assert refusal(b"a,b\n1,2\n1,2,3\n") == "rows.csv:3: 3 fields, and 2 are needed"
    assert refusal(b'a,b\n"x\ny",2\n1\n').startswith("rows.csv:4: 1 field,")


def test_fault_38_empty_lines_are_allowed_only_at_the_end() -> None:
    assert len(read(b"a,b\n1,2\n\n\r\n")) == 1
    assert refusal(b"a,b\n1,2\n\n\n3,4\n") == "rows.csv:3: an empty line; remove it"


def test_fault_38_an_empty_line_far_before_the_next_row_is_still_named() -> None:
    filler = b"1,2\n" * 4095
    assert refusal(b"a,b\n" + filler + b"\n1,2\n").startswith("rows.csv:4097: an empty line")


def test_fault_38_text_that_is_not_utf8_names_the_line_and_the_likely_coding() -> None:
    message = refusal("a,b\n1,2\nMünchen,3\n".encode("latin-1"))

    assert message.startswith("rows.csv:3: byte 0xfc is not UTF-8 (in Latin-1 it is 'ü')")
    assert "set dataset.encoding=latin-1" in message
    message = refusal("a,b\n1,2\nMünchen,3 €\n".encode("cp1252"))
    assert "byte 0xfc is not UTF-8 (in Windows-1252 it is 'ü'); set dataset.encoding=cp1252" in (
        message
    )


def test_fault_38_utf16_is_named_as_such() -> None:
    assert "UTF-16" in refusal("a,b\n1,2\n".encode("utf-16"))


def test_fault_38_a_nul_is_refused_by_line() -> None:
    assert refusal(b"a,b\n1,2\n3,\x004\n").startswith("rows.csv:3: a NUL character; is this a")
    for codec in ("utf-16-le", "utf-16-be"):
        told = refusal("a,b\n1,2\n".encode(codec))
        assert told == f"rows.csv:1: a NUL character; dataset.encoding={codec} reads UTF-16"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'a,b\n1,2\n3,"4\n5,6\n7,8', 3),
        (b'a,b\n1,2\n3,"4\n5,6\n7,8\n', 3),
        (b'a,b\n"one\ntwo","x\n5,6\n', 3),
        (b'a,b\n1,"', 2),
        (b'a,b\r\n1,"\r\n\r\n', 2),
        (b'"a,b\n1,2\n', 1),
    ],
)
def test_fault_38_a_quote_that_never_closes_is_named_where_it_opens(
    content: bytes, line: int
) -> None:
    assert refusal(content) == f"rows.csv:{line}: a quote opens here and never closes"


def test_fault_38_a_field_of_more_than_128_kb_is_refused() -> None:
    largest = csv.field_size_limit()
    assert len(read(b"a,b\n1," + b"x" * largest + b"\n")) == 1

    message = refusal(b"a,b\n1,2\n1," + b"x" * (largest + 1) + b"\n")
    assert message.startswith("rows.csv:3: a field of more than 128 kB")


def test_a_quote_open_for_more_than_128_kb_asks_about_the_quote() -> None:
    message = refusal(b'a,b\n1,"2\n' + b"3,4\n" * 50_000)

    assert message.startswith("rows.csv:2: ")
    assert "a quote" in message


def test_text_after_a_closing_quote_is_refused_by_line() -> None:
    assert refusal(b'a,b\n1,2\n"1"x,2\n').startswith("rows.csv:3: not valid CSV")


@given(st.binary(max_size=200))
def test_fault_38_any_bytes_are_read_or_refused_in_one_line(content: bytes) -> None:
    message, rows = "rows.csv", []
    try:
        rows = read(content)
    except BadInput as refused:
        message = str(refused)
    assert message.startswith("rows.csv")
    assert "\n" not in message
    assert len({len(record) for _, record in rows}) <= 1


_FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(st.lists(st.lists(_FIELDS, min_size=2, max_size=2), min_size=1, max_size=6))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])

    assert [record for _, record in read(text.getvalue().encode())] == rows
