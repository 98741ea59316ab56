"""Textual bindings from the table of actions, and keys as people write them.

Layer: ui. A binding's id is the action's, which is what a keymap names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui_trainer.config.keys import ACTIONS, SIGNS, actions_of


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


# `live_keys` and `KeyRow`: the keys that can be pressed now, and those there is room to say.
#
# The order and what is left out first are those of the table of actions, on every screen.


CHARACTERS = {name: sign for sign, name in SIGNS.items()}
RANKS = {action.id: action.rank for action in ACTIONS}
ORDER = {
    action.id: place
    for place, action in enumerate(sorted(ACTIONS, key=lambda it: it.place == "app"))
}
"""From left to right: what works everywhere stands last."""


@runtime_checkable
class Relabelling(Protocol):
    """A screen on which an action may do now what its label in the table does not say."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Other labels, by action; who changes them refreshes the bindings."""


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key that can be pressed now, and what it does."""

    key: str
    label: str
    tooltip: str
    enabled: bool = True
    rank: int = 0
    """When it is left out where there is no room for all: the highest first, 0 never."""

    @property
    def width(self) -> int:
        """In cells, with a space behind the key and one behind the label."""
        return cell_len(shown_key(self.key) + self.label) + 2


def live_keys(screen: Screen[Any]) -> list[KeyHint]:
    """One key for each action that is to be shown: the first that is not typed into a field."""
    focused = screen.focused
    labels = screen.labels if isinstance(screen, Relabelling) else {}
    shown = [it for it in screen.active_bindings.items() if it[1].binding.show]
    found: dict[str, KeyHint] = {}
    for key, active in sorted(shown, key=lambda it: ORDER.get(it[1].binding.id or "", 0)):
        # Textual knows of a letter that it is typed into a field, but not of every sign.
        if focused is None or not focused.check_consume_key(key, CHARACTERS.get(key)):
            it, tooltip = active.binding, active.tooltip or ""
            name = it.id or ""
            label, rank = labels.get(name, it.description), RANKS.get(name, 0)
            found.setdefault(it.action, KeyHint(key, label, tooltip, active.enabled, rank))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Keys beside each other: with a space before each, or close together behind a single one."""

    keys: tuple[KeyHint, ...] = ()
    is_close: bool = False

    @classmethod
    def fitting(cls, keys: Sequence[KeyHint], width: int) -> KeyRow:
        """As many keys as there is room for in `width` cells; sooner close together than fewer.

        Those that are never left out may need more than there is.
        """
        kept = list(keys)
        if sum(key.width + 1 for key in kept) <= width:
            return cls(tuple(kept))
        # With a space before the first one, and without the one behind the last.
        while sum(key.width for key in kept) > width:
            least = max(kept, key=lambda key: key.rank)
            if least.rank == 0:
                break
            kept.remove(least)
        return cls(tuple(kept), is_close=True)

    def places(self) -> Iterator[tuple[int, KeyHint]]:
        """Where the text of each key begins, and the key."""
        start = 1
        for key in self.keys:
            yield start, key
            start += key.width + (not self.is_close)

    def at(self, x: int) -> KeyHint | None:
        """The key at a cell, with the space behind it; None where there is none."""
        found = (key for start, key in self.places() if start <= x < start + key.width)
        return next(found, None)


# Letters that were typed before the focus had come to the field that they are for.
#
# On a slow line several keys arrive at once. All are sent to what has the focus when they arrive,
# come back unused, and would then be looked up as commands: `/` opens a search, and the `q` of
# the word behind it would leave the app.


def take_late_letter(focused: Widget | None, event: events.Key) -> None:
    """Type a letter that came back unused into the field that has the focus by now.

    For the app's `on_key`: a field keeps every letter that was sent to it, so that one which comes
    back was sent to something else.
    """
    if isinstance(focused, Input) and event.is_printable and event.character:
        event.prevent_default()
        focused.insert_text_at_cursor(event.character)
