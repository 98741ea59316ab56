"""Counts and sizes as people read them, the same in every message.

Layer: text, as the trainer, the command line and the app all say them. Sizes are decimal: a
kilobyte is 1000 bytes, as disks are sold.
"""

from __future__ import annotations

_UNITS = (("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_MOST_BYTES = 2**63


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 step`, `4,277 steps`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


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
