"""`live_keys` and `KeyRow`: the keys that can be pressed now, and those there is room to say.

Layer: ui. The order and what is left out first are those of the table of actions, on every screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rich.cells import cell_len
from textual.screen import Screen

from tui_trainer.config.keys import ACTIONS, SIGNS
from tui_trainer.ui.bindings import shown_key

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
class Key:
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


def live_keys(screen: Screen[Any]) -> list[Key]:
    """One key for each action that is to be shown: the first that is not typed into a field."""
    focused = screen.focused
    labels = screen.labels if isinstance(screen, Relabelling) else {}
    shown = [it for it in screen.active_bindings.items() if it[1].binding.show]
    found: dict[str, Key] = {}
    for key, active in sorted(shown, key=lambda it: ORDER.get(it[1].binding.id or "", 0)):
        # Textual knows of a letter that it is typed into a field, but not of every sign.
        if focused is None or not focused.check_consume_key(key, CHARACTERS.get(key)):
            it, tooltip = active.binding, active.tooltip or ""
            name = it.id or ""
            label, rank = labels.get(name, it.description), RANKS.get(name, 0)
            found.setdefault(it.action, Key(key, label, tooltip, active.enabled, rank))
    return list(found.values())


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Keys beside each other: with a space before each, or close together behind a single one."""

    keys: tuple[Key, ...] = ()
    is_close: bool = False

    @classmethod
    def fitting(cls, keys: Sequence[Key], width: int) -> KeyRow:
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

    def places(self) -> Iterator[tuple[int, Key]]:
        """Where the text of each key begins, and the key."""
        start = 1
        for key in self.keys:
            yield start, key
            start += key.width + (not self.is_close)

    def at(self, x: int) -> Key | None:
        """The key at a cell, with the space behind it; None where there is none."""
        found = (key for start, key in self.places() if start <= x < start + key.width)
        return next(found, None)
