"""Metrics and rates as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config.sections.metrics import metric_text, metrics_text
from tui_trainer.text.format import measured, rate_text, speed_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0.000"),
        (2.31, "2.310"),
        (0.0712, "0.07120"),
        (0.00123456, "0.001235"),
        (0.00099999, "0.001000"),
        (0.0009617, "9.617e-4"),
        (9999.4, "9999"),
        (9999.6, "1.000e4"),
        (12_346.0, "1.235e4"),
        (-0.5, "-0.5000"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_a_metric_has_four_digits_wherever_it_stands(value: float | None, text: str) -> None:
    assert measured(value) == text
    assert metric_text("loss", value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (0.003, "0.003"), (0.000141, "1.41e-4"), (30.0, "30"), (1e5, "1e5")],
)
def test_a_rate_has_no_zeros_at_its_end(value: float | None, text: str) -> None:
    assert rate_text(value) == text


@given(st.floats(1e-9, 9e9))
def test_a_metric_is_right_in_its_four_digits(value: float) -> None:
    assert len(measured(value)) <= 8
    assert float(measured(value)) == pytest.approx(value, rel=5.001e-4)
    assert float(rate_text(value)) == float(measured(value))


def test_shares_are_percent_and_what_is_not_finite_is_not() -> None:
    assert metric_text("accuracy", 0.9861) == "98.61 %"
    assert metric_text("top3_accuracy", 1.0) == "100.00 %"
    assert metric_text("accuracy", math.nan) == "nan"
    assert metric_text("f1", 0.5) == "0.5000"
    assert metrics_text({"loss": 0.07, "accuracy": 0.5}) == "loss 0.07000, accuracy 50.00 %"
    assert metrics_text({"bits_per_byte": 1.74}) == "bits per byte 1.740"


@pytest.mark.parametrize(
    ("per_s", "text"),
    [(None, "-"), (1234.5, "1,234"), (1e308, "1.00e308"), (math.nan, "nan"), (math.inf, "inf")],
)
def test_a_speed_takes_the_room_of_a_few_digits(per_s: float | None, text: str) -> None:
    assert speed_text(per_s) == text
