"""Counts, sizes and durations as people read them, the same in every message.

Layer: text, as the trainer, the command line and the app all say them. Sizes are decimal: a
kilobyte is 1000 bytes, as disks are sold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_UNITS = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_MOST_BYTES = 2**63
LATEST_S = 2.0**34
"""In the year 2514: no run is from later or trains longer, and no clock's arithmetic fails before.
"""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 step`, `4,277 steps`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def any_of(words: Sequence[str]) -> str:
    """Return the words as a choice: `rnn, transformer or cnn1d`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def size_text(size_bytes: float) -> str:
    """`14 kB`, `2.1 MB`, `512 MB`, `80 GB`: in at most six characters, up to 999 TB.

    What is no size, as one that is not finite, is `-`.
    """
    if not 0 <= size_bytes < _MOST_BYTES:
        return "-"
    # By what it is rounded to: 999,700 bytes are 1.0 MB, and not 1000 kB.
    name, unit = next((it for it in _UNITS if size_bytes < 999.5 * it[1]), _UNITS[-1])
    amount = size_bytes / unit
    decimals = 1 if name != "kB" and amount < 9.95 else 0
    # Something is never shown as nothing.
    return f"{max(amount, 1) if 0 < amount < 1 and name == 'kB' else amount:.{decimals}f} {name}"


def duration(seconds: float) -> str:
    """`3.2 s`, `4:05`, `1:02:03`; `-` of what is no duration, or is longer than any run."""
    if not 0 <= seconds < LATEST_S:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# Measured numbers and rates as people read them, the same in the log, the panels and every table.
#
# As the command line and the app both say them. They are rounded: a setting is shown as it was
# typed, by `argument_text`.


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
