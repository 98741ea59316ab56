"""The title of the terminal's window: which run it shows, its state, and how far it is.

Layer: ui. Textual is not imported. A terminal keeps the title that it had before on a stack (the
window operations 22 and 23 of xterm, which tmux has too); one that has no stack gets an empty title
back, which it replaces by its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tui_trainer.text.clean import clean, masked

if TYPE_CHECKING:
    from tui_trainer.runs.view import RunView

SAVE = "\x1b[22;2t"
RESTORE = "\x1b]2;\x1b\\\x1b[23;2t"
PROGRAM = "tui-trainer"
_WITHOUT = ("dumb", "unknown", "linux", "cons25", "vt52", "vt100", "vt102", "vt220", "eterm")
"""Terminals without a title, some of which would show the sequence as text."""
_LONGEST = 200


def has_title(env: Mapping[str, str]) -> bool:
    """Return whether the terminal has a title that can be set."""
    term = env.get("TERM", "")
    return bool(term) and not term.startswith(_WITHOUT)


def sequence(title: str) -> str:
    """Return the sequence that sets a title (OSC 2), whatever characters are in the text."""
    return f"\x1b]2;{masked(title)[:_LONGEST]}\x1b\\"


def title_of(view: RunView | None) -> str:
    """Return the title for a run, or for the program alone.

    It changes at most once per second of training: shares are whole, and so are seconds.
    """
    if view is None or not view.name:
        return PROGRAM
    parts = [f"{PROGRAM} - {clean(view.name, 80)} {clean(view.state, 20)}"]
    if view.state in ("running", "paused", "pausing") and not view.is_starting:
        if view.total_steps:
            parts[0] += f" {min(view.step / view.total_steps, 1.0) * 100:.0f} %"
        if view.state == "running" and view.eta_s is not None:
            parts.append(f"{_clock(view.eta_s)} left")
    return " - ".join(parts)


def _clock(seconds: float) -> str:
    """Write seconds as `0:12` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
