"""A terminal gets letters that it can show, as its locale says."""

from __future__ import annotations

import pytest

from tui_trainer.ui.terminal.ascii import encoding_of, in_plain_letters


def test_signs_that_the_encoding_lacks_are_shown_as_their_look_alikes() -> None:
    assert "● 1×8 → 2…".encode("ascii", "plain-letters") == b"* 1x8 > 2."
    assert "ü✓".encode("latin-1", "plain-letters") == b"\xfc+"
    assert "日".encode("ascii", "plain-letters") == b"?"
    with pytest.raises(UnicodeTranslateError):
        in_plain_letters(UnicodeTranslateError("x", 0, 1, "not an encoding"))


@pytest.mark.parametrize(
    ("env", "encoding", "expected"),
    [
        ({"LC_ALL": "C", "LANG": "C.UTF-8"}, "utf-8", "ascii"),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, "utf-8", "utf-8"),
        ({"LANG": "POSIX"}, "utf-8", "ascii"),
        ({"LANG": "de_DE.ISO-8859-1"}, "utf-8", "iso8859-1"),
        ({"LANG": "en_US.utf8@euro"}, "ascii", "utf-8"),
        ({"LANG": "en_US"}, "utf-8", "utf-8"),
        ({"LANG": "xx_XX.no-such-encoding"}, "utf-8", "utf-8"),
        ({}, "utf-8", "utf-8"),
    ],
)
def test_the_locale_names_the_encoding(env: dict[str, str], encoding: str, expected: str) -> None:
    assert encoding_of(env, encoding) == expected
