"""Signs of what happened in a run: on a plot's axis, or on its validation line.

Layer: ui.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui_trainer.ui.plots.canvas import Markers

SIGNS: dict[str, tuple[str, str, str]] = {
    "nonfinite": ("\u00d7", "x", "not finite"),
    "edit": ("▲", "e", "edit"),
    "pause": ("‖", "p", "pause"),
    "best": ("★", "B", "best"),
    "checkpoint": ("◆", "c", "saved"),
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
