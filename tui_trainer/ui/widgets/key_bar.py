"""`KeyBar`: the keys that work now, on the last line; those that matter least leave a narrow one.

Layer: ui. One widget that draws its line, where Textual's footer mounts a widget for each key anew
whenever the focus moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui_trainer.config.keymap import SIGNS
from tui_trainer.config.keys import ACTIONS
from tui_trainer.ui.bindings import shown_key

CHARACTERS = {name: sign for sign, name in SIGNS.items()}
MEANT = {action.id: action for action in ACTIONS if action.in_footer}
ORDER = sorted(MEANT, key=lambda name: name.startswith("app."))
"""From left to right: what works everywhere stands last."""


@dataclass(frozen=True, slots=True)
class Item:
    """A key, and what it does."""

    key: str
    text: str
    label: str
    tooltip: str
    rank: int
    enabled: bool

    @property
    def width(self) -> int:
        """In cells, with the space behind it."""
        return cell_len(self.text) + cell_len(self.label) + 2


class KeyBar(Widget, can_focus=False):
    """A click on a key presses it."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar = {"key-bar--key"}
    DEFAULT_CSS = """
    KeyBar {
        dock: bottom; height: 1; text-wrap: nowrap;
        background: $footer-background; color: $footer-description-foreground;
    }
    KeyBar > .key-bar--key {
        color: $footer-key-foreground; background: $footer-key-background; text-style: bold;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._items: list[Item] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        items = self._live()
        if items != self._items:
            self._items = items
            self.refresh()

    def _live(self) -> list[Item]:
        """The actions of the footer that can be taken now, each with the first of its keys."""
        found: dict[str, Item] = {}
        focused = self.screen.focused
        for key, active in self.screen.active_bindings.items():
            action = MEANT.get(active.binding.id or "")
            # Textual knows of a letter that it is typed into a field, but not of every sign.
            typed = focused is not None and focused.check_consume_key(key, CHARACTERS.get(key))
            if action is not None and action.id not in found and not typed:
                text, label = shown_key(key), action.label
                found[action.id] = Item(
                    *(key, text, label, action.text, action.rank, active.enabled)
                )
        by_label: dict[str, Item] = {}
        for name in sorted(found, key=ORDER.index):
            by_label.setdefault(found[name].label, found[name])
        return list(by_label.values())

    def _fitting(self) -> list[Item]:
        items = list(self._items)
        while items and sum(item.width for item in items) > self.size.width + 1:
            least = max(items, key=lambda item: item.rank)
            if least.rank == 0:
                break
            items.remove(least)
        return items

    def render(self) -> Content:
        """As many keys as there is room for."""
        key_style = self.get_visual_style("key-bar--key")
        parts: list[Content] = []
        for item in self._fitting():
            label = "" if item.enabled else "dim"
            parts.append(Content.assemble((item.text, key_style), (f" {item.label} ", label)))
        return Content("").join(parts)

    def _at(self, x: int) -> Item | None:
        start = 0
        for item in self._fitting():
            if start <= x < start + item.width - 1:
                return item
            start += item.width
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What a key does, beside the pointer."""
        item = self._at(event.x)
        text = item.tooltip if item is not None else None
        if text != self.tooltip:
            self.tooltip = text

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked on."""
        event.stop()
        item = self._at(event.x)
        if item is not None and item.enabled:
            self.app.simulate_key(item.key)
