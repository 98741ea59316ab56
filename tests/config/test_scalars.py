"""What scalars mean: YAML 1.2's core schema, in files and on the command line."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tui_trainer.config.yaml.reader import parse_document, parse_value
from tui_trainer.text.errors import BadInput, ConfigError, Problem


def refused(text: str) -> tuple[Problem, ...]:
    """The problems of a text that has to be refused."""
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "p.yaml")
    return caught.value.problems


SCALARS: list[tuple[str, Any]] = [
    ("1e-3", 0.001),
    ("3e-4", 0.0003),
    ("1E5", 100000.0),
    (".5", 0.5),
    ("5.", 5.0),
    ("-1.5e+3", -1500.0),
    (".inf", math.inf),
    ("-.inf", -math.inf),
    ("12", 12),
    ("-7", -7),
    ("+7", 7),
    ("010", 10),
    ("0x1F", 31),
    ("0o17", 15),
    (str(2**63 - 1), 2**63 - 1),
    ("true", True),
    ("True", True),
    ("FALSE", False),
    ("null", None),
    ("~", None),
    ("", None),
]
TEXTS = [
    "yes",
    "no",
    "on",
    "off",
    "Y",
    "none",
    "None",
    "1:30",
    "190:20:30",
    "1_000",
    "1.2.3",
    "=",
    "0b1",
]
TEXTS += [
    "2026-11-23",
    "2026-11-23T01:02:03Z",
    "tRUE",
    "nan",
    "inf",
    "0x",
    "1e",
    ".",
    "-",
    "e5",
    "١٢",
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_fault_34_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    for read in (parse_document(f"a: {text}", "").data["a"], parse_value(text)):
        assert read == value
        assert type(read) is type(value)


def test_fault_34_nan_is_read_as_a_number() -> None:
    assert math.isnan(parse_value(".nan"))


@pytest.mark.parametrize("text", [text for text in TEXTS if text != "-"])
def test_fault_34_what_only_yaml_1_1_takes_for_more_stays_a_text(text: str) -> None:
    assert parse_document(f"a: {text}", "").data == {"a": text}
    assert parse_value(text) == text


@pytest.mark.parametrize(
    "number",
    [
        "1" + "0" * 400,
        "-" + "9" * 20,
        str(2**63),
        "9" * 100_000,
        "0x" + "f" * 100_000,
        "0o7" + "0" * 40,
        *("1e400", "-1e999", "1e" + "9" * 10_000, "9" * 400 + ".0", "1e-400"),
    ],
)
def test_fault_34_a_number_that_python_cannot_hold_is_refused(number: str) -> None:
    (problem,) = refused(f"b: 1\na: {number}")
    assert (problem.key, problem.line, problem.column) == ("a", 2, 4)
    assert "number" in problem.message
    with pytest.raises(BadInput, match="number"):
        parse_value(number)


def test_tags_of_the_core_schema_mean_what_they_say() -> None:
    text = (
        "!!map {a: !!str 12, b: !!float 3, c: !!seq [], d: !!int '5', e: !!null '', f: !!bool true}"
    )
    data = parse_document(text, "").data
    assert data == {"a": "12", "b": 3.0, "c": [], "d": 5, "e": None, "f": True}
    assert type(data["b"]) is float
    wrong = refused("a: !!int x\nb: !!bool 1\nc: !!float 1e999\nd: !!null x")
    assert [(problem.line, problem.column) for problem in wrong] == [
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
    ]
