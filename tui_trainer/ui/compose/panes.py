"""Moves between panes: widgets that can have the focus, or that contain one that can.

Layer: ui.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.widget import Widget


def enter(pane: Widget) -> bool:
    """Focus a pane or the first focusable widget in it; return whether there was one."""
    screen = pane.screen
    found = (it for it in screen.focus_chain if it is pane or pane in it.ancestors)
    if (first := next(found, None)) is not None:
        screen.set_focus(first)
    return first is not None


def enter_next(panes: Sequence[Widget]) -> None:
    """Go to the next pane that can be focused; the first one follows the last."""
    here = next((n for n, pane in enumerate(panes) if pane.has_focus_within), -1)
    order = [*panes[here + 1 :], *panes[: here + 1]]
    next(filter(enter, order), None)
