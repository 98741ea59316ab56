"""The characters that lines are drawn with, as far as the terminal can show them.

Layer: ui.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tui_trainer.ui.terminal.ascii import encoding_of

Markers = Literal["braille", "block", "ascii"]


def markers_for(
    choice: Literal["auto", "braille", "block", "ascii"], env: Mapping[str, str], encoding: str
) -> Markers:
    """Return what the terminal can show; `encoding` is used if the environment names none.

    The Linux console has block characters in its font, but no braille.
    """
    if choice != "auto":
        return choice
    term = env.get("TERM", "")
    if term == "dumb" or encoding_of(env, encoding) != "utf-8":
        return "ascii"
    return "block" if term == "linux" else "braille"
