"""The states of a run as every front end shows them: a sign, its ASCII form, and a colour.

Layer: runs. The one table of them: the heading of a run, both lists of runs and the window title
take it from here. A sign always stands beside its word, so the colour never carries meaning alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColourRole = Literal["muted", "accent", "success", "warning", "error"]
"""What a colour is for; each front end has its own colour for it."""


@dataclass(frozen=True, slots=True)
class StateSign:
    """The sign of a state, in ASCII too, and the role of its colour."""

    sign: str
    plain: str
    role: ColourRole


_WAITING = StateSign("‖", "=", "warning")
_STOPPED = StateSign("■", "#", "warning")
_FAILED = StateSign("✗", "x", "error")
_UNKNOWN = StateSign("?", "?", "warning")
_SIGNS = {
    "starting": StateSign("○", "o", "muted"),
    "running": StateSign("●", ">", "accent"),
    "testing": StateSign("●", ">", "accent"),
    "pausing": _WAITING,
    "paused": _WAITING,
    "suspended": _WAITING,
    "stopping": _STOPPED,
    "stopped": _STOPPED,
    "finished": StateSign("✓", "+", "success"),
    "failed": _FAILED,
    "crashed": _FAILED,
}


def sign_of(state: str) -> StateSign:
    """Return the sign of a state; a question mark for one of which too little is known."""
    return _SIGNS.get(state, _UNKNOWN)


def sign_in(state: str, *, plain: bool) -> str:
    """Return the sign of a state alone, in ASCII if `plain`."""
    sign = sign_of(state)
    return sign.plain if plain else sign.sign
