"""The door for what is printed: text that steers no terminal, JSON that every parser takes."""

from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.text.console import (
    Stream,
    error_stream,
    output_stream,
    print_block,
    print_error,
    print_json,
    print_line,
)
from tui_trainer.text.strict_json import strict_json

BAD = "\x1b]52;c;eA==\x1b\\\x1b[31m\u202e\x9b\x07\x7f\r\u2028"
SHOWN = r"\x1b]52;c;eA==\x1b\\x1b[31m\u202e\x9b\x07\x7f\r\u2028"


def test_fault_55_lines_and_blocks_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(f"{BAD}\n\t{BAD}")
    print_block(f"{BAD}\n\t{BAD}")
    output_stream().line(BAD)
    output_stream().block(f"{BAD}\n{BAD}")
    print_error(f"{BAD}\n{BAD}")
    error_stream().line(BAD)
    out, err = capsys.readouterr()
    assert out.split("\n") == [
        *(rf"{SHOWN}\n{chr(9)}{SHOWN}", SHOWN, f"\t{SHOWN}", SHOWN, SHOWN, SHOWN, "")
    ]
    assert err.split("\n") == [SHOWN, SHOWN, SHOWN, ""]


def test_fault_55_json_is_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({BAD: [BAD, math.nan, math.inf, 0.5]})
    output_stream().json({BAD: BAD})
    first, second, _ = capsys.readouterr().out.split("\n")
    assert (first + second).isascii()
    assert (first + second).isprintable()
    assert json.loads(first) == {BAD: [BAD, None, None, 0.5]}
    assert json.loads(second) == {BAD: BAD}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=10,
    )
)
def test_strict_json_is_read_back_as_it_was(value: object) -> None:
    assert json.loads(strict_json(value)) == value
    assert strict_json(value).isprintable()


def test_a_stream_whose_reader_is_gone_is_quiet_for_good() -> None:
    file = io.StringIO()
    stream = Stream(file)
    stream.line("one")
    before = stream.closed
    file.close()
    stream.line("two")
    stream.json({})
    assert (before, stream.closed) == (False, True)
    Stream(None).line("three")
