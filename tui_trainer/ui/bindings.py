"""Textual bindings from the table of actions.

Layer: ui. A binding's id is the action's, which is what a keymap names.
"""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui_trainer.config.keys import actions_of


def bindings_of(place: str) -> list[BindingType]:
    """The bindings of a place; a screen or widget sets BINDINGS to them."""
    return [
        Binding(
            action.keys,
            action.name,
            action.label,
            tooltip=action.text,
            show=action.in_footer,
            priority=action.priority,
            id=action.id,
        )
        for action in actions_of(place)
    ]
