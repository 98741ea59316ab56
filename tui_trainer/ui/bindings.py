"""Textual bindings from the table of actions, and keys as people write them.

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


def shown_key(key: str) -> str:
    """A key as people write it: `^s`, `?`, `F1`."""
    names = {
        **{"question_mark": "?", "slash": "/", "escape": "esc", "enter": "↵"},
        **{"up": "↑", "down": "↓", "left": "←", "right": "→"},
    }
    name = key.removeprefix("ctrl+")
    name = names.get(name, name)
    if len(name) > 1 and name[0] == "f" and name[1:].isdigit():
        name = name.upper()
    return f"^{name}" if key.startswith("ctrl+") else name
