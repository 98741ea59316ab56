"""Textual bindings from the table of actions, and which keys a screen shows.

Layer: ui. A binding's id is the action's id, which is also what a keymap names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui_trainer.config.keys import ACTIONS, SIGNS, actions_of


def bindings_of(place: str, calls: Mapping[str, str] | None = None) -> list[BindingType]:
    """Return the bindings of a place; a screen or widget sets BINDINGS to them.

    `calls` names the method to call for an action that has no method of its own.
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
    """Return a key as people write it: `^s`, `?`, `F1`."""
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
    """The keys in force with a user's keymap, by action id."""

    def __init__(self, keymap: Mapping[str, str]) -> None:
        from tui_trainer.config.keys import keys_in_force

        self._keys = keys_in_force(keymap)

    def of_places(self, places: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the keys of every action of some places."""
        return {action.id: self._keys[action.id] for action in ACTIONS if action.place in places}

    def shown(self, name: str) -> str:
        """Return the keys of an action, and of those that do the same, as people write them."""
        same = next((action.place, action.name) for action in ACTIONS if action.id == name)
        return ", ".join(
            shown_key(key)
            for action in ACTIONS
            if (action.place, action.name) == same
            for key in self._keys[action.id]
        )

    def commands(self, screen: Screen[Any]) -> Iterator[SystemCommand]:
        """Yield every action that can be taken on a screen now, except the list of them."""
        texts = {action.id: action.text for action in ACTIONS}
        offered = {texts["app.palette"]}
        for active in screen.active_bindings.values():
            name = active.binding.id or ""
            text = texts.get(name, "")
            if text and text not in offered and active.enabled:
                offered.add(text)
                act = partial(screen.app.run_action, active.binding.action, active.node)
                yield SystemCommand(text, self.shown(name), act)


# The keys that can be pressed now, and those for which there is room. Their order, and which are
# left out first, follow the table of actions on every screen.


CHARACTERS = {name: sign for sign, name in SIGNS.items()}
RANKS = {action.id: action.rank for action in ACTIONS}
ORDER = {
    action.id: place
    for place, action in enumerate(sorted(ACTIONS, key=lambda it: it.place == "app"))
}
"""From left to right: what works everywhere comes last."""


@runtime_checkable
class Relabelling(Protocol):
    """A screen on which an action may currently do something else than its label says."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Other labels, by action; the screen must refresh its bindings when they change."""


@dataclass(frozen=True, slots=True)
class KeyHint:
    """A key that can be pressed now, and what it does."""

    key: str
    label: str
    tooltip: str
    enabled: bool = True
    rank: int = 0
    """When there is no room for all keys, the highest rank is left out first; 0 stays."""

    @property
    def width(self) -> int:
        """Width in cells, with one space after the key and one after the label."""
        return cell_len(shown_key(self.key) + self.label) + 2


def live_keys(screen: Screen[Any]) -> list[KeyHint]:
    """Return one key per action to show: its first that the focused field does not take as text."""
    focused = screen.focused
    labels = screen.labels if isinstance(screen, Relabelling) else {}
    shown = [it for it in screen.active_bindings.items() if it[1].binding.show]
    found: dict[str, KeyHint] = {}
    for key, active in sorted(shown, key=lambda it: ORDER.get(it[1].binding.id or "", 0)):
        # Textual knows that a field takes letters, but not that it takes all other signs too.
        if focused is None or not focused.check_consume_key(key, CHARACTERS.get(key)):
            it, tooltip = active.binding, active.tooltip or ""
            name = it.id or ""
            label, rank = labels.get(name, it.description), RANKS.get(name, 0)
            found.setdefault(it.action, KeyHint(key, label, tooltip, active.enabled, rank))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Keys in a row: with a space before each, or close together after a single one."""

    keys: tuple[KeyHint, ...] = ()
    is_close: bool = False

    @classmethod
    def fitting(cls, keys: Sequence[KeyHint], width: int) -> KeyRow:
        """Return as many keys as fit into `width` cells, closer together before leaving any out.

        Keys that are never left out may need more than `width`.
        """
        kept = list(keys)
        if sum(key.width + 1 for key in kept) <= width:
            return cls(tuple(kept))
        # One space before the first key, and none after the last.
        while sum(key.width for key in kept) > width:
            least = max(kept, key=lambda key: key.rank)
            if least.rank == 0:
                break
            kept.remove(least)
        return cls(tuple(kept), is_close=True)

    def places(self) -> Iterator[tuple[int, KeyHint]]:
        """Yield each key with the cell at which its text begins."""
        start = 1
        for key in self.keys:
            yield start, key
            start += key.width + (not self.is_close)

    def at(self, x: int) -> KeyHint | None:
        """Return the key at a cell, including the space after it, or None."""
        found = (key for start, key in self.places() if start <= x < start + key.width)
        return next(found, None)


# Letters that were typed before their field had the focus.
#
# On a slow line several keys arrive together. All of them go to the widget that has the focus at
# that moment, come back unused, and would then be looked up as commands: `/` opens a search, and
# the `q` of the word typed after it would leave the app.


def take_late_letter(focused: Widget | None, event: events.Key) -> None:
    """Type a letter that came back unused into the field that has the focus now.

    For the app's `on_key`: a field keeps every letter sent to it, so one that comes back was sent
    to another widget.
    """
    if isinstance(focused, Input) and event.is_printable and event.character:
        event.prevent_default()
        if focused.has_focus:
            focused.insert_text_at_cursor(event.character)
        else:
            # After the message that it has the focus, which selects what the letter replaces.
            focused.post_message(events.Key(event.key, event.character))
