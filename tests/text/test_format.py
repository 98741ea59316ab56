"""Counts and sizes as people read them."""

from __future__ import annotations

import math

import pytest

from tui_trainer.text.format import any_of, counted, size_text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (14_200, "14 kB"),
        (999_400, "999 kB"),
        (999_700, "1.0 MB"),
        (2_140_000, "2.1 MB"),
        (9_960_000, "10 MB"),
        (512e6, "512 MB"),
        (2.1e9, "2.1 GB"),
        (80e9, "80 GB"),
        (1.5e12, "1.5 TB"),
    ],
)
def test_a_size_has_the_unit_that_fits_it(size_bytes: float, text: str) -> None:
    assert size_text(size_bytes) == text


def test_one_is_not_many() -> None:
    assert counted(1, "step") == "1 step"
    assert counted(0, "step") == "0 steps"
    assert counted(4277, "step") == "4,277 steps"
    assert counted(2, "batch", "batches") == "2 batches"


@pytest.mark.parametrize("size_bytes", [math.nan, math.inf, -1, 10**400, 1e300])
def test_what_is_no_size_is_a_dash(size_bytes: float) -> None:
    assert size_text(size_bytes) == "-"


def test_a_choice_is_named_in_words() -> None:
    assert any_of(["mlp"]) == "mlp"
    assert any_of(["cnn", "resnet"]) == "cnn or resnet"
    assert any_of(["rnn", "transformer", "cnn1d"]) == "rnn, transformer or cnn1d"
