"""Formats counts, sizes, durations, measured numbers and rates, the same in every message.

Layer: text, because training, the command line and the app all use it. Sizes are decimal: a
kilobyte is 1000 bytes, as disks are sold. Measured numbers are rounded; settings are not, they are
shown as they were typed, by `argument_text`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_UNITS = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
GIB = 2**30
"""Bytes of memory are counted in these, other than those of files."""
_MOST_BYTES = 2**63
LATEST_S = 2.0**34
"""In the year 2514: no run is from a later time or trains for longer, and the arithmetic of clocks
works up to here."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: `1 step`, `4,277 steps`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def parameters_text(count: int, trained: int | None = None) -> str:
    """Write the size of a model: `446,123 parameters`, and how many are trained if not all are."""
    text = counted(count, "parameter")
    return text if trained is None or trained == count else f"{text}, {trained:,} trained"


def any_of(words: Sequence[str]) -> str:
    """Return the words as a choice: `rnn, transformer or cnn1d`."""
    *initial, last = words
    return f"{', '.join(initial)} or {last}" if initial else last


def size_text(size_bytes: float) -> str:
    """Write a size as `14 kB`, `2.1 MB` or `80 GB`: in at most six characters, up to 999 TB.

    Anything that is not a size, such as a number that is not finite, is `-`.
    """
    if not 0 <= size_bytes < _MOST_BYTES:
        return "-"
    # Chosen by the rounded amount: 999,700 bytes are 1.0 MB, not 1000 kB.
    name, unit = next(
        (named_unit for named_unit in _UNITS if size_bytes < 999.5 * named_unit[1]), _UNITS[-1]
    )
    amount = size_bytes / unit
    decimals = 1 if name != "kB" and amount < 9.95 else 0
    # A size above zero is never shown as 0 kB.
    return f"{max(amount, 1) if 0 < amount < 1 and name == 'kB' else amount:.{decimals}f} {name}"


def duration(seconds: float) -> str:
    """Write seconds as `3.2 s`, `4:05` or `1:02:03`.

    A number that is no duration, or that is longer than any run, is `-`.
    """
    if not 0 <= seconds < LATEST_S:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remaining_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{remaining_s:02}" if hours else f"{minutes}:{remaining_s:02}"


_FASTEST = 1e12
"""Per second. Above it, the digits would take the space of everything else."""


def measured(value: float | None) -> str:
    """Write four significant digits: `0.07120`, `9.617e-4`.

    The text has eight characters if 1e-9 <= value < 1e10.
    """
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return "0.000" if value == 0 else str(value)
    mantissa, _, tens = f"{value:.3e}".partition("e")
    exponent = int(tens)
    if -3 <= exponent <= 3:
        return f"{value:.{3 - exponent}f}"
    # An exponent of three digits takes the place of one digit of the mantissa.
    return f"{mantissa if abs(exponent) < 100 else mantissa[:-1]}e{exponent}"


def speed_text(per_s: float | None) -> str:
    """Write samples per second as `1,234`, or in four digits if no hardware can be so fast."""
    if per_s is None:
        return "-"
    return f"{per_s:,.0f}" if abs(per_s) < _FASTEST else measured(per_s)


def rate_text(value: float | None) -> str:
    """Like `measured`, without zeros at the end: `0.003`, `1.41e-4`."""
    text = measured(value)
    digits, e, exponent = text.partition("e")
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + e + exponent
