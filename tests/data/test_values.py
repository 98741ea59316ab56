from __future__ import annotations

import math

import numpy as np
import pytest

from tui_trainer.data.files.cell_values import is_missing, order_classes, to_number, to_numbers


@pytest.mark.parametrize("text", ["", "  ", "NA", "na", "NaN", "nan", "?", "NULL", " null "])
def test_what_counts_as_missing(text: str) -> None:
    assert is_missing(text)
    number = to_number(text)
    assert number is not None
    assert math.isnan(number)


@pytest.mark.parametrize("text", ["1_000", "\uff11", "\u0661", "x", "1,5", "0x10", "1 2"])
def test_what_only_looks_like_a_number_is_a_text(text: str) -> None:
    assert to_number(text) is None
    assert to_numbers(["1", text, "3"])[1] == [1]


def test_numbers_are_read_alike_with_and_without_texts_among_them() -> None:
    texts = ["1", " -2.5e3 ", ".5", "1e400", "+7"]
    numbers, foreign = to_numbers(texts)

    assert foreign == []
    assert numbers.tolist() == [1, -2500, 0.5, math.inf, 7]
    mixed, foreign = to_numbers([*texts, "", "x"])
    np.testing.assert_array_equal(mixed[:5], numbers)
    assert np.isnan(mixed[5:]).all()
    assert foreign == [6]


def test_classes_are_ordered_by_number_only_when_all_are_integers() -> None:
    assert order_classes(["10", "9", "-1", "10"]) == ("-1", "9", "10")
    assert order_classes(["10", "9", "b"]) == ("10", "9", "b")
    assert order_classes(["1" * 5000, "2"]) == ("1" * 5000, "2")
