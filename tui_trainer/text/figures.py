"""Measured numbers and rates as people read them, the same in the log, the panels and every table.

Layer: text, as the command line and the app both say them. They are rounded: a setting is shown
as it was typed, by `argument_text`.
"""

from __future__ import annotations

import math

_FASTEST = 1e12
"""Per second; digits beyond it would take the room of everything else."""


def measured(value: float | None) -> str:
    """Four significant digits: `0.07120`, `9.617e-4`; eight characters if 1e-9 <= value < 1e10."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return "0.000" if value == 0 else str(value)
    mantissa, _, tens = f"{value:.3e}".partition("e")
    exponent = int(tens)
    if -3 <= exponent <= 3:
        return f"{value:.{3 - exponent}f}"
    # Beyond 1e100 the sign and the exponent take the room of a digit.
    return f"{mantissa if abs(exponent) < 100 else mantissa[:-1]}e{exponent}"


def speed_text(per_s: float | None) -> str:
    """`1,234` of a number of samples per second; four digits of one that no hardware reaches."""
    if per_s is None:
        return "0"
    return f"{per_s:,.0f}" if abs(per_s) < _FASTEST else measured(per_s)


def rate_text(value: float | None) -> str:
    """As `measured`, without zeros at the end: `0.003`, `1.41e-4`."""
    text = measured(value)
    digits, e, exponent = text.partition("e")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + e + exponent
