"""Data put together from events: places, structure, tags, caps, and every problem at once."""

from __future__ import annotations

from time import process_time

import pytest

from tui_trainer.config.yaml.parser import MOST_DEPTH, MOST_NODES, MOST_PROBLEMS
from tui_trainer.config.yaml.reader import parse_document
from tui_trainer.text.errors import ConfigError, Problem

BOUND_S = 2.0


def refused(text: str) -> tuple[Problem, ...]:
    """The problems of a text that has to be refused, with the time it took bounded."""
    begun_s = process_time()
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "p.yaml")
    assert process_time() - begun_s < BOUND_S
    assert all(problem.source == "p.yaml" for problem in caught.value.problems)
    return caught.value.problems


def places(text: str) -> list[tuple[int | None, int | None]]:
    return [(problem.line, problem.column) for problem in refused(text)]


def test_every_key_and_item_has_its_place() -> None:
    text = "model:\n  layers: [128,  64]\n  'drop out': .1\nlist:\n- a\n-  {b: 1}\n? x\n: 1\n"
    document = parse_document(text, "p.yaml")
    assert document.data == {
        "model": {"layers": [128, 64], "drop out": 0.1},
        "list": ["a", {"b": 1}],
        "x": 1,
    }
    assert document.places == {
        ("model",): (1, 1),
        ("model", "layers"): (2, 3),
        ("model", "layers", 0): (2, 12),
        ("model", "layers", 1): (2, 18),
        ("model", "drop out"): (3, 3),
        ("list",): (4, 1),
        ("list", 0): (5, 3),
        ("list", 1): (6, 4),
        ("list", 1, "b"): (6, 5),
        ("x",): (7, 3),
    }


SYNTAX: list[tuple[str, tuple[int, int], str]] = [
    ("a: 1\n\tb: 2", (2, 1), "tab"),
    ("a:\t1", (1, 3), "tab"),
    ("a: 1\n  b: 2", (2, 4), "indentation"),
    ("a:\n    b: 1\n  c: 2", (3, 3), "indentation"),
    ('a: "x\nb: 2', (1, 4), "never closed"),
    ("b: 1\na: [1,\n 2", (2, 4), "']'"),
    ("a: {b: 1\nc: 2", (1, 4), "'}'"),
    ("a: 1\nlr:0.1\nb: 2", (2, 1), "space after the ':'"),
    ("a: @x", (1, 4), "quote"),
    ("a: - b", (1, 4), "own line"),
    ('a: "C:\\data"', (1, 8), "single quotes"),
    ("a: }", (1, 4), "value is missing"),
    ("a: {lr:0.1}", (1, 5), "space is missing"),
    ("a: *", (1, 4), "quote"),
    ("a: !u!x 1", (1, 4), "tags"),
    ('a: "\\UFFFFFFFF"', (1, 7), "escape"),
    ("%YAML 2.0\n---\na: 1", (1, 1), "version"),
]


@pytest.mark.parametrize(("text", "place", "words"), SYNTAX)
def test_fault_34_bad_syntax_is_told_with_line_and_column_in_plain_words(
    text: str, place: tuple[int, int], words: str
) -> None:
    (problem,) = refused(text)
    assert (problem.line, problem.column) == place
    assert words in problem.message


def test_fault_34_a_number_that_breaks_the_parser_is_refused() -> None:
    assert len(refused(f"%YAML 1.{'9' * 5000}\n---\na: 1")) == 1


def test_fault_34_duplicate_key_is_refused_and_both_lines_are_named() -> None:
    (problem,) = refused("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n")
    assert str(problem) == "p.yaml:5:3: b.c: duplicate key, first in line 3"


def test_fault_34_duplicate_key_is_found_however_it_is_written() -> None:
    assert places("a: 1\n'a': 2\n") == [(2, 1)]
    assert places('{a: 1, "a": 2}') == [(1, 8)]


@pytest.mark.parametrize(
    "key", ["1", "1.5", "true", "null", "~", "0x1", "9" * 400, "[a]", "{a: 1}", "<<"]
)
def test_fault_34_a_key_that_is_no_text_is_refused(key: str) -> None:
    assert places(f"a: 1\n? {key}\n: 2\n")[0] == (2, 3)


def test_a_quoted_key_is_a_text_whatever_it_looks_like() -> None:
    assert parse_document("'1': a\n\"<<\": b\n'': c", "").data == {"1": "a", "<<": "b", "": "c"}


def test_fault_34_a_second_document_is_refused() -> None:
    assert places("a: 1\n---\nb: 2\n") == [(2, 1)]
    assert parse_document("---\na: 1\n...\n", "").data == {"a": 1}


def test_fault_36_an_escaped_nul_or_lone_surrogate_is_refused() -> None:
    assert places('a: "x\\0"\nb: "\\uD800"\n"\\0": 1\n') == [(1, 4), (2, 4), (3, 1)]


BOMBS = {
    "flow lists": "[" * 10_000,
    "flow lists in a value": "a: " + "[" * 10_000,
    "flow mappings": "{a: " * 10_000,
    "bare braces": "{" * 10_000,
    "flow lists on lines": "[\n" * 10_000,
    "block mappings": "\n".join(" " * depth + "a:" for depth in range(1400)),
    "block lists": "- " * 10_000 + "x",
    "block keys": "? " * 10_000 + "x",
    "mixed": "- ? [{" * 10_000,
    "anchors": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(10_000)),
    "laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
    "items": "a: [" + "1," * MOST_NODES + "]",
    "duplicates": "a: 1\n" * 20_000,
    "tags": "a: [" + "!x y, " * 20_000 + "]",
    "open quote": 'a: "' + "x" * 500_000,
    "tag prefix": "a: !<" + "x" * 500_000,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_fault_34_a_bomb_is_refused_at_once(bomb: str) -> None:
    assert 0 < len(refused(bomb)) <= MOST_PROBLEMS + 1


def test_fault_34_nothing_is_scanned_beyond_the_depth_that_is_refused() -> None:
    (problem,) = refused("a: " + "[" * 25 + "@")
    assert "nested deeper than 20" in problem.message
    assert (problem.line, problem.column) == (1, 24)


def test_fault_34_depth_is_capped_exactly() -> None:
    deepest = "[" * (MOST_DEPTH - 1) + "]" * (MOST_DEPTH - 1)
    assert parse_document(f"a: {deepest}", "").data["a"]
    assert "nested deeper than 20" in refused(f"a: [{deepest}]")[0].message
    block = "".join(" " * depth + "a:\n" for depth in range(MOST_DEPTH))
    assert parse_document(block, "").data
    assert "nested deeper than 20" in refused(block + " " * MOST_DEPTH + "a: 1\n")[0].message


TAGS = ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/tuple", "!anything"]
TAGS += [
    "!!binary",
    "!!set",
    "!!timestamp",
    "!!omap",
    "!!merge",
    "!!seq",
    "!",
    "!<tag:example.org,2026:x>",
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    "form", ["a: {} x", "{} a: 1", "a: {} {{b: 1}}", "a: [{} x]", "? {} x\n: 1"]
)
def test_fault_35_a_tag_is_refused_wherever_it_stands(tag: str, form: str) -> None:
    problem = refused(form.format(tag))[0]
    assert "tag" in problem.message
    assert problem.line == 1


def test_fault_34_everything_wrong_is_told_at_once_in_the_order_of_lines() -> None:
    text = "a: !x 1\n1: 2\nb: {c: 1, c: 2}\nd: &e 1\nf: *e\n<<: {g: 1}\nh: 1e999\na: 2\ni:\n\t- x"
    assert [(problem.line, problem.key) for problem in refused(text)] == [
        (1, "a"),
        (2, ""),
        (3, "b.c"),
        (4, "d"),
        (5, "f"),
        (6, ""),
        (7, "h"),
        (8, "a"),
        (10, ""),
    ]
