"""The entries of folders, and the beginnings of files, whatever they are called and hold."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import pytest

from tui_trainer.sessions import data_files
from tui_trainer.sessions.data_files import (
    FolderEntry,
    complete,
    list_folder,
    read_head,
    split_typed,
    typed_path,
)


def test_folders_come_first_then_data_then_the_others(tmp_path: Path) -> None:
    for name in ("b.csv", "A.PARQUET", "notes.md", "rows.csv.gz", ".hidden.csv"):
        (tmp_path / name).touch()
    (tmp_path / "zoo").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("zoo")
    assert [(entry.name, entry.kind, entry.is_file) for entry in list_folder(tmp_path).entries] == [
        ("link", "folder", False),
        ("zoo", "folder", False),
        ("A.PARQUET", "data", True),
        ("b.csv", "data", True),
        ("rows.csv.gz", "data", True),
        ("gone.csv", "other", False),
        ("notes.md", "other", True),
        ("pipe.csv", "other", False),
    ]
    assert [entry.name for entry in list_folder(tmp_path, "a.").entries] == ["A.PARQUET"]
    assert [entry.name for entry in list_folder(tmp_path, ".").entries] == [".hidden.csv"]


def test_a_large_folder_is_bounded_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.csv").touch()
    monkeypatch.setattr(data_files, "MOST_LISTED", 10)
    found = list_folder(tmp_path)
    assert [entry.name for entry in found.entries] == [f"{number:02}.csv" for number in range(10)]
    assert found.left_out == "20 more; type the beginning of a name"
    assert list_folder(tmp_path, "2").left_out == ""
    # By all of them, not only by those that are listed.
    assert complete(f"{tmp_path}/1") == f"{tmp_path}/1"
    monkeypatch.setattr(data_files, "MOST_LISTED", 1)
    assert complete(f"{tmp_path}/1") == f"{tmp_path}/1"
    monkeypatch.setattr(data_files, "MOST_LOOKED_AT", 20)
    assert list_folder(tmp_path).left_out == "more than 20 entries; type the path of one"
    assert complete(f"{tmp_path}/0") == f"{tmp_path}/0"


def test_a_folder_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    found = list_folder(tmp_path / "go\x1b[31mne")
    assert found.entries == ()
    assert found.problem.endswith("go\\x1b[31mne: no such file or directory")
    assert list_folder(Path("nul\0")).problem


def test_a_typed_path_is_completed_as_far_as_the_names_agree(tmp_path: Path) -> None:
    for name in ("rows-2024.csv", "rows-2025.csv", "other.csv"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert complete(f"{tmp_path}/r") == f"{tmp_path}/rows-202"
    assert complete(f"{tmp_path}/rows-2025") == f"{tmp_path}/rows-2025.csv"
    assert complete(f"{tmp_path}/f") == f"{tmp_path}/folder/"
    assert complete(f"{tmp_path}/x") == f"{tmp_path}/x"
    assert split_typed("rows.csv") == (Path("."), "rows.csv")
    assert split_typed("~/a/b") == (Path("~/a").expanduser(), "b")


def test_a_whole_path_typed_behind_a_folder_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").touch()
    assert split_typed(f"./{tmp_path}/ro") == (tmp_path, "ro")
    assert complete(f"./{tmp_path}/ro") == f"./{tmp_path}/rows.csv"
    assert split_typed("./~/a/b") == (Path("~/a").expanduser(), "b")
    assert typed_path(f"./{tmp_path}/rows.csv") == f"{tmp_path}/rows.csv"
    assert split_typed("./a//b") == (Path("a"), "b")
    assert split_typed("./~a/b") == (Path("./~a"), "b")


def test_the_first_rows_of_a_table_are_cleaned_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a;"b\x1b[31m"\n1,5;"x; y"\n')
    head = read_head(path)
    assert (head.is_table, head.size) == (True, "1 kB")
    assert head.rows == (("a", "b\\x1b[31m"), ("1,5", "x; y"))
    path.write_text("a,b\n" + "1,2\n" * 100_000)
    assert len(read_head(path).rows) == 30
    path.write_text(",".join(map(str, range(50))) + "\n")
    assert (len(read_head(path).rows[0]), read_head(path).more_columns) == (40, 10)
    path.write_text("only text\nof two lines\n")
    assert (read_head(path).is_table, read_head(path).rows) == (
        False,
        (("only text",), ("of two lines",)),
    )
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b\n" + b"0,0\n" * 10_000_000))
    assert read_head(packed).rows[:2] == (("a", "b"), ("0", "0"))


def test_what_is_no_text_is_not_shown(tmp_path: Path) -> None:
    for name, content, problem in (
        ("a.csv", b"\0\1", "it is not text; enter says what it is"),
        ("b.csv", b"", "it is empty"),
        ("c.csv.gz", b"\x1f\x8bjunk", "it cannot be unpacked"),
        ("d.parquet", b"PAR1", "its contents are shown only after it is read"),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_head(tmp_path / name).problem == problem
    assert read_head(tmp_path / "gone").problem == "no such file or directory"


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    # Opened to read, it would wait for a writer for ever.
    assert (
        read_head(tmp_path / "pipe.csv").problem == "it is not a regular file, so it is not opened"
    )
    assert read_head(Path("/dev/null")).problem == "it is not a regular file, so it is not opened"


def test_an_entry_keeps_its_name_as_it_is(tmp_path: Path) -> None:
    name = "e\x1b[31m\u202e\n.csv"
    (tmp_path / name).touch()
    assert list_folder(tmp_path).entries == (FolderEntry(name, "data", True),)


def test_the_head_of_json_lines_is_a_table_and_that_of_tokens_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one, \\u001b[31mtwo", "n": 3}\n\n{"text": null, "more": [1]}\n')
    head = read_head(path)
    assert head.is_table
    assert head.rows == (
        ("text", "n", "more"),
        ("one, \\x1b[31mtwo", "3", ""),
        ("", "", "[1]"),
    )
    path.write_text('{"text": "cut')
    assert read_head(path).rows == (('{"text": "cut',),)
    path.write_text("[1, 2]\n[3, 4]\n")
    assert read_head(path).rows[0] == ("[1", "2]")

    tokens = tmp_path / "a.bin"
    tokens.write_bytes(struct.pack("<15H", *range(65_521, 65_536)) + b"x")
    head = read_head(tokens)
    assert not head.is_table
    assert head.rows[0][0].split() == [str(number) for number in range(65_521, 65_533)]
    assert head.rows[1] == ("65533 65534 65535",)
