"""Foreign text on a terminal, names on a file system, near misses."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.text.clean import (
    clean,
    harmless,
    harmless_block,
    is_safe_name,
    masked,
    slug,
    suggest,
    typed,
)

ANY_TEXT = st.text(st.characters(), max_size=200)
DEVICES = ["CON", "nul", "Aux", "PRN", "COM1", "com9", "LPT3", "con.txt", "NUL.tar.gz"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b2J\x7f\x00\x07", r"\x9b2J\x7f\x00\x07"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2066a\u2069\u200e\u200f\u061c", r"\u2066a\u2069\u200e\u200f\u061c"),
        ("a\u200bb\u2060c\ufeffd\u00ade", r"a\u200bb\u2060c\ufeffd\xade"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("\udcff\ue000\U000e0041", r"\udcff\ue000\U000e0041"),
        ("a\u200db\u3164", r"a\u200db\u3164"),
    ],
)
def test_fault_37_what_could_steer_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Adélie 3 %",
        "数字の認識",
        "🐧🎉",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "क्\u200dष",
        "[bold]x[/]",
        "e\u0301",
    ],
)
def test_fault_37_emoji_and_every_script_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_fault_37_marks_piled_on_one_character_are_cut_down() -> None:
    assert clean("a" + "\u0301" * 6 + "b") == "a" + "\u0301" * 4 + r"\u0301\u0301b"


@given(ANY_TEXT, st.integers(0, 80), st.booleans())
def test_fault_37_nothing_hidden_is_left_in_any_text(
    text: str, limit: int, multiline: bool
) -> None:
    shown = clean(text, limit, multiline=multiline)
    assert len(shown) <= limit
    allowed = "\u200c\u200d" + ("\n" if multiline else "")
    left = {unicodedata.category(char) for char in shown if char not in allowed}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(ANY_TEXT)
def test_cleaning_what_is_clean_changes_nothing(text: str) -> None:
    once = clean(text, 10_000)
    assert clean(once, 10_000) == once


def test_line_breaks_stay_where_several_lines_are_wanted() -> None:
    assert clean("a\r\nb\nc\td\re", multiline=True) == "a\nb\nc\\td\\re"


def test_a_long_text_is_cut_between_whole_characters_and_escapes() -> None:
    assert clean("x" * 500) == "x" * 500
    assert clean("x" * 501) == "x" * 499 + "…"
    assert clean("ab\x1b[31m", 6) == "ab…"
    assert clean("abc", 0) == ""
    family = "\U0001f469\u200d\U0001f467"
    assert clean(family * 2, 3) == "\U0001f469…", "a joiner would swallow the sign of the cut"


def test_a_huge_text_is_looked_at_only_as_far_as_it_is_shown() -> None:
    assert clean("\x00" * 100_000_000, 8) == r"\x00…"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Digits CNN (v2)", "digits-cnn-v2"),
        ("Ünïcode Größe", "unicode-grosse"),
        ("../../etc/passwd", "etc-passwd"),
        ("/etc/x", "etc-x"),
        ("a/b", "a-b"),
        ("a\x00b", "a-b"),
        ("..", "run"),
        ("a..b", "a.b"),
        ("--force", "force"),
        (".hidden", "hidden"),
        ("数字", "run"),
        ("", "run"),
        ("x" * 300, "x" * 60),
        ("CON", "run-con"),
        ("nul.txt", "run-nul.txt"),
        ("COM¹", "run-com1"),
    ],
)
def test_fault_36_a_slug_is_a_harmless_name(text: str, name: str) -> None:
    assert slug(text) == name


def test_fault_36_cutting_a_slug_does_not_make_a_device_of_it() -> None:
    assert slug("console", limit=3) == "run"
    assert slug("null", limit=3) == "run"


@given(ANY_TEXT, st.integers(3, 100))
def test_fault_36_every_slug_is_a_safe_name(text: str, limit: int) -> None:
    name = slug(text, limit)
    assert is_safe_name(name)
    assert len(name) <= limit
    assert name == name.lower()
    assert ".." not in name


@given(st.sampled_from(DEVICES), st.integers(3, 20))
def test_fault_36_no_slug_is_a_device_of_windows(device: str, limit: int) -> None:
    assert is_safe_name(slug(device, limit))


@pytest.mark.parametrize("name", ["digits-cnn", "a", "_x", "Run_2.1", "x" * 100, "console"])
def test_an_ordinary_name_is_safe_as_it_is(name: str) -> None:
    assert is_safe_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "/etc/x", "a/b", "a\\b", "a\x00", "a\n", "-rf", ".x", "x."),
        *("a b", "é", "C:x", "x" * 101, "x" * 300),
        *DEVICES,
    ],
)
def test_fault_36_a_name_that_leads_elsewhere_is_not_safe(name: str) -> None:
    assert not is_safe_name(name)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("adamv", "adamw"),
        ("AdamW", "adamw"),
        ("ADAMV", "adamw"),
        ("optimzer.lr", "optimizer.lr"),
        ("optimizer.learning_rat", "optimizer.learning_rate"),
        ("lr", "optimizer.lr"),
        ("model.batchsize", "training.batch_size"),
    ],
)
def test_fault_34_the_nearest_option_is_suggested(word: str, meant: str) -> None:
    keys = ["optimizer.lr", "optimizer.learning_rate", "training.batch_size", "sgd", "adamw"]
    assert suggest(word, keys) == f" (did you mean '{meant}'?)"


@pytest.mark.parametrize("word", ["zzzz", "", "adamw", "\x1b[31m"])
def test_nothing_is_suggested_where_nothing_is_near(word: str) -> None:
    assert suggest(word, ["adamw", "sgd"]) == ""
    assert suggest(word, []) == ""


def test_fault_37_a_suggested_foreign_name_is_clean() -> None:
    assert suggest("label", ["labe\x1bl"]) == r" (did you mean 'labe\x1bl'?)"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("3e-4\u200b", "3e-4"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\tb\u202ec\u2066d", "a bcd"),
        ("שלום naïve 你好 👩\u200d🔬", "שלום naïve 你好 👩\u200d🔬"),
    ],
)
def test_fault_37_what_nobody_sees_is_not_typed(text: str, kept: str) -> None:
    assert typed(text) == kept


@given(st.text())
def test_fault_37_a_masked_text_is_as_long_and_clean(text: str) -> None:
    assert len(masked(text)) == len(text)
    assert clean(masked(text), 10_000) == masked(text)
    assert clean(typed(text), 10_000) == typed(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("loss 0.5, accuracy 98 %", "loss 0.5, accuracy 98 %"),
        ("Adélie 数字 👩‍🔬", "Adélie 数字 👩‍🔬"),
        ("a\tb\nc\rd", "a\tb\\nc\\rd"),
        ("\x1b]52;c;eA==\x07\x9b\u202e", "\\x1b]52;c;eA==\\x07\\x9b\\u202e"),
        ("a" * 10_000 + "\x1b", "a" * 10_000 + "\\x1b"),
    ],
)
def test_fault_55_a_line_on_its_way_out_is_whole_and_harmless(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_fault_55_of_a_block_the_line_breaks_are_kept() -> None:
    assert harmless_block("a\n\x1bb\n") == "a\n\\x1bb\n"


@given(ANY_TEXT)
def test_fault_55_what_leaves_is_what_clean_would_show_but_for_tabs(text: str) -> None:
    assert harmless(text).replace("\t", "\\t") == clean(text, 10**6)
    assert harmless(harmless(text)) == harmless(text)
