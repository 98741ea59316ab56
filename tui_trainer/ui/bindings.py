"""Textual bindings from the table of actions, and keys as people write them.

Layer: ui. A binding's id is the action's, which is what a keymap names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.binding import Binding, BindingType

from tui_trainer.config.keys import ACTIONS, actions_of


def bindings_of(place: str, calls: Mapping[str, str] | None = None) -> list[BindingType]:
    """Return the bindings of a place; a screen or widget sets BINDINGS to them.

    `calls` names what is called for an action that has no method of its own.
    """
    return [
        Binding(
            action.keys,
            (calls or {}).get(action.name, action.name),
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


class KeyTable:
    """The keys that are in force with a user's keymap, by the id of what they do."""

    def __init__(self, keymap: Mapping[str, str]) -> None:
        from tui_trainer.config.keys import keys_in_force

        self._keys = keys_in_force(keymap)

    def of_places(self, places: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The keys of everything that can be done in some places."""
        return {action.id: self._keys[action.id] for action in ACTIONS if action.place in places}

    def shown(self, name: str) -> str:
        """The keys of an action, and of those that do the same, as people write them."""
        same = next((action.place, action.name) for action in ACTIONS if action.id == name)
        return ", ".join(
            shown_key(key)
            for action in ACTIONS
            if (action.place, action.name) == same
            for key in self._keys[action.id]
        )
