"""Signs of what happened in a run: on a plot's axis, or on its validation line.

Layer: ui.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tui_trainer.ui.plots.markers import Markers

SIGNS: dict[str, tuple[str, str, str]] = {
    "nonfinite": ("\u00d7", "x", "not finite"),
    "edit": ("▲", "e", "edit"),
    "pause": ("‖", "p", "pause"),
    "best": ("★", "B", "best"),
    "save": ("◆", "s", "saved"),
    "checkpoint": ("◇", "c", "checkpoint"),
}
"""By kind, the most important first: the sign, its ASCII letter, and its name."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A mark at an x; at `y` if it has one, else on the x axis."""

    kind: str
    x: float
    y: float | None = None


def sign_character(kind: str, markers: Markers) -> str:
    """Return the sign of a kind, or a letter if the font may lack it."""
    sign, letter, _ = SIGNS[kind]
    return sign if markers == "braille" else letter


def merged(marks: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return the kind to show in each column, given the columns of the marks with their kinds.

    Of several kinds in a column, the most important is shown; marks of one kind in columns side by
    side become one.
    """
    order = list(SIGNS)
    found: dict[int, str] = {}
    for at, kind in sorted(marks, key=lambda mark: (order.index(mark[1]), mark[0])):
        if at not in found and found.get(at - 1) != kind:
            found[at] = kind
    return found
