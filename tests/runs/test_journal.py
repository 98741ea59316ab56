"""Journals keep whole lines only, and offsets that were told never lie."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from tests.runs.failing import DEATH, FAULTS, Died, FailingFiles, error_of, failures
from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import (
    MOST_PENDING_BYTES,
    Journal,
    append_durably,
    encode,
    encode_rows,
    read_records,
    whole_length,
)

FIRST = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]
SECOND = [{"step": 3, "note": "x" * 300}]
THIRD = [{"step": 4}]


def records(path: Path, start: int = 0) -> list[dict[str, Any]]:
    return [record for _, record in read_records(path, start)]


def append_and_sync(path: Path, files: Files) -> None:
    journal = Journal(path, files)
    try:
        for lines in (FIRST, SECOND, THIRD):
            journal.append(lines)
            journal.sync()
    finally:
        journal.close()


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_1_to_4_and_14_after_any_fault_the_journal_is_a_beginning_of_what_was_appended(
    tmp_path: Path, fault: int | None, torn: bool
) -> None:
    lines = FIRST + SECOND + THIRD
    saved = [lines[:count] for count in range(len(lines) + 1)]
    seen = set()
    for files in failures(fault, torn=torn):
        path = tmp_path / f"{files.fail_at}.jsonl"

        error = error_of(append_and_sync, path, files)

        journal = Journal(path)
        assert records(path) in saved
        assert journal.length == path.stat().st_size
        journal.append([{"after": True}])
        journal.close()
        assert records(path)[-1] == {"after": True}
        assert records(path)[:-1] in saved
        if not files.failed:
            assert error is None
        elif fault is DEATH:
            assert isinstance(error, Died)
        else:
            assert isinstance(error, OSError)
            assert error.errno == fault
        seen.add(files.failed)
    assert {"open_append", "write", "fsync", ""} <= seen


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
def test_fault_1_what_could_not_be_written_is_kept_and_written_later_in_order(
    tmp_path: Path, fault: int, torn: bool
) -> None:
    for files in failures(fault, torn=torn, first=2):
        path = tmp_path / f"{files.fail_at}.jsonl"
        journal = Journal(path, files)

        for lines in (FIRST, SECOND, THIRD):
            error = error_of(journal.append, lines)
            assert path.stat().st_size == journal.length, "half a line stayed"
            assert error is None or files.failed == "write"
        files.heal()
        journal.append([])
        journal.close()

        assert records(path) == FIRST + SECOND + THIRD


def test_fault_1_an_empty_append_writes_what_is_pending(tmp_path: Path) -> None:
    files = FailingFiles(2, errno.ENOSPC)
    journal = Journal(tmp_path / "lines", files)
    with pytest.raises(OSError, match="No space"):
        journal.append(FIRST)
    assert journal.length == 0

    journal.append([])

    assert records(tmp_path / "lines") == FIRST
    journal.append([])
    assert records(tmp_path / "lines") == FIRST


def test_fault_1_half_a_line_that_could_not_be_cut_is_cut_before_the_next_one(
    tmp_path: Path,
) -> None:
    class NoTruncate(FailingFiles):
        stuck = True

        def truncate(self, descriptor: int, length: int) -> None:
            if self.stuck:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().truncate(descriptor, length)

    path = tmp_path / "lines"
    files = NoTruncate(3, errno.ENOSPC, torn=True)
    journal = Journal(path, files)
    journal.append(FIRST)
    with pytest.raises(OSError, match=r"error|space"):
        journal.append(SECOND)
    assert path.stat().st_size > journal.length

    files.heal()
    files.stuck = False
    journal.append(THIRD)
    journal.close()

    assert records(path) == FIRST + SECOND + THIRD
    assert path.stat().st_size == journal.length


@pytest.mark.parametrize(
    "tail",
    [b'{"step": 3', b'{"step": 3}', b"\0" * 5000, b'{"st\0\0\0\0', b"x" * 200_000],
    ids=["torn", "no line break", "NULs", "torn and NULs", "long"],
)
def test_fault_14_a_torn_end_is_cut_and_told(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "lines"
    whole = encode(FIRST)
    path.write_bytes(whole + tail)

    assert records(path) == FIRST

    journal = Journal(path)
    assert (journal.length, journal.torn_bytes) == (len(whole), len(tail))
    assert path.read_bytes() == whole
    journal.append(THIRD)
    journal.close()
    assert records(path) == FIRST + THIRD


def test_fault_14_every_cut_of_a_file_leaves_the_lines_before_it(tmp_path: Path) -> None:
    lines = encode(FIRST + THIRD)
    path = tmp_path / "lines"
    for size in range(len(lines) + 1):
        path.write_bytes(lines[:size])

        journal = Journal(path)
        journal.close()

        kept = lines[:size].count(b"\n")
        assert records(path) == (FIRST + THIRD)[:kept]
        assert path.stat().st_size == journal.length


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 16])
def test_whole_length_does_not_depend_on_how_the_file_is_read(tmp_path: Path, chunk: int) -> None:
    path = tmp_path / "lines"
    for content, length in [(b"", 0), (b"a", 0), (b"\n", 1), (b"ab\ncd\nef", 6), (b"abc\n", 4)]:
        path.write_bytes(content)
        with path.open("rb") as file:
            assert whole_length(file, chunk) == length


def test_numbers_that_are_not_finite_become_null_at_any_depth() -> None:
    line = encode([{"loss": math.nan, "deep": {"a": [1.5, -math.inf, (math.inf,)]}, "n": 3}])

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    plain = json.loads(line, parse_constant=refuse)
    assert plain == {"loss": None, "deep": {"a": [1.5, None, [None]]}, "n": 3}


def test_foreign_text_stays_on_its_line() -> None:
    text = "a\nb\r\u2028\u0085\x1b[31m\0"

    lines = encode([{"text": text}, {"text": "next"}])

    assert lines.count(b"\n") == 2
    assert len(lines.decode().splitlines()) == 2
    assert b"\x1b" not in lines
    assert json.loads(lines.split(b"\n")[0])["text"] == text


def test_fault_2_lines_that_a_failed_sync_may_have_lost_are_written_again(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_durably(path, FIRST[0])
    # open, write, fsync
    files = FailingFiles(3, errno.EIO)
    journal = Journal(path, files)
    before = journal.length
    journal.append(SECOND)

    with pytest.raises(OSError, match="error"):
        journal.sync()

    assert files.failed == "fsync"
    assert journal.length == path.stat().st_size == before
    journal.sync()
    journal.close()
    assert records(path) == FIRST[:1] + SECOND


def test_a_journal_whose_file_was_replaced_can_be_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    journal = Journal(path)
    journal.append(FIRST)
    path.unlink()

    journal.reopen()
    assert journal.length == 0
    journal.append(THIRD)
    journal.close()

    assert records(path) == THIRD


@pytest.mark.parametrize("tail", [b"\0\0\0\n", b"\0" * 100_000 + b"\n", b"\0\n\0\n"])
def test_fault_14_nuls_make_no_line_with_a_line_end_either(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(encode(FIRST) + tail)

    journal = Journal(path)
    journal.close()

    assert path.read_bytes() == encode(FIRST)
    assert journal.torn_bytes == len(tail)


def test_length_counts_the_bytes_of_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "lines")
    assert journal.length == 0
    journal.append(FIRST)
    assert journal.length == len(encode(FIRST)) == (tmp_path / "lines").stat().st_size
    journal.close()
    assert Journal(tmp_path / "lines").length == journal.length


def test_fault_1_pending_lines_are_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    megabyte = 1 << 20
    lines = [b"%07d" % number + b"x" * (megabyte - 8) + b"\n" for number in range(70)]
    most = MOST_PENDING_BYTES // megabyte
    files = FailingFiles(2, errno.ENOSPC)
    journal = Journal(tmp_path / "lines", files)

    with pytest.raises(OSError, match="No space"):
        journal.append_bytes(b"".join(lines))
    journal.append([])

    blank, *kept = (tmp_path / "lines").read_bytes().splitlines(keepends=True)
    assert kept == lines[-most:]
    assert journal.dropped_bytes == len(blank) == (len(lines) - most) * megabyte
    assert blank.isspace()
    assert journal.length == len(lines) * megabyte, "an offset that was told before lies"


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(encode(FIRST))
    offsets = [offset for offset, _ in read_records(path)]
    with path.open("ab") as file:
        file.write(encode(THIRD) + b'{"half')

    assert records(path, offsets[0]) == FIRST[1:] + THIRD
    assert records(path, offsets[1]) == THIRD
    assert [offset for offset, _ in read_records(path, offsets[1])] == [
        offsets[1] + len(encode(THIRD))
    ]


@pytest.mark.parametrize(
    "line",
    [b"{broken", b"[1]", b"3", b'"a"', b"null", b"\xff\xfe", b"", b"[" * 100_000],
)
def test_a_line_that_is_no_record_is_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(encode(FIRST) + line + b"\n" + encode(THIRD))

    assert records(path) == FIRST + THIRD


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_2_a_record_that_was_refused_by_the_disk_is_not_in_the_file(
    tmp_path: Path, fault: int | None
) -> None:
    for files in failures(fault):
        path = tmp_path / f"{files.fail_at}.jsonl"
        append_durably(path, FIRST[0])

        error = error_of(append_durably, path, FIRST[1], files)

        if error is None:
            assert records(path) == FIRST
        elif fault is DEATH:
            assert records(path) in (FIRST, FIRST[:1])
        else:
            assert records(path) == FIRST[:1], files.failed


def test_fault_36_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    (tmp_path / "lines").symlink_to(outside)

    with pytest.raises(OSError, match="symbolic link"):
        Journal(tmp_path / "lines")

    assert outside.read_bytes() == b"theirs"


def test_rows_of_numbers_are_the_bytes_of_their_records() -> None:
    names = ["step", 'a "%d" \x7f', "é", "lr"]
    numbers = [0.1, -0.0, 1e300, 5e-324, 1e16, 123456789.125, math.inf, -math.inf, math.nan]
    rows = [[step, number, 2, 1e-05] for step, number in enumerate(numbers)]
    # The sum of finite numbers may overflow.
    rows.append([10**12, 1.7e308, 1.7e308, 0.0])
    records = [dict(zip(names, row, strict=True)) for row in rows]
    assert encode_rows(names, rows) == encode(records)
    assert encode_rows(names, []) == b""
