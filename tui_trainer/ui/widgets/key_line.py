"""`KeyLine`: the keys that matter now, in the last line of a screen.

Layer: ui. Textual's footer cuts off what does not fit, which is the help, mounts a widget for each
key anew whenever the focus moves, and stays as it is while the terminal has not the focus. This one
draws its line; where there is little room, it first says it closer together, and then leaves out
what has the highest rank in the table of actions.
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
KNOWN = {action.id: action for action in ACTIONS}
EVERYWHERE = len(ACTIONS)
"""What works everywhere stands behind what the table of actions has not."""
PLACES = {
    action.id: index + (EVERYWHERE + 1 if action.place == "app" else 0)
    for index, action in enumerate(ACTIONS)
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key that can be pressed now, and what it does."""

    key: str
    label: str
    tooltip: str
    rank: int
    enabled: bool

    @property
    def width(self) -> int:
        """In cells, with a space behind the key and one behind the label."""
        return cell_len(shown_key(self.key) + self.label) + 2


class KeyLine(Widget, can_focus=False):
    """The keys of the screen, of the part that has the focus, and of the app; a click presses."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar = {"key-line--key"}
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom; height: 1; text-wrap: nowrap;
        background: $footer-background; color: $footer-description-foreground;
    }
    KeyLine > .key-line--key {
        color: $footer-key-foreground; background: $footer-key-background; text-style: bold;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: list[Key] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        keys = self._live()
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _live(self) -> list[Key]:
        """The first key of each action that can be taken now, in the order of the table."""
        found: dict[str, tuple[int, Key]] = {}
        focused = self.screen.focused
        for key, active in self.screen.active_bindings.items():
            it = active.binding
            # Textual knows of a letter that it is typed into a field, but not of every sign.
            typed = focused is not None and focused.check_consume_key(key, CHARACTERS.get(key))
            if not it.show or typed:
                continue
            known = KNOWN.get(it.id or "")
            place = PLACES.get(it.id or "", EVERYWHERE)
            rank = known.rank if known is not None else 0
            shown = Key(key, it.description, active.tooltip or "", rank, active.enabled)
            if it.description not in found or place < found[it.description][0]:
                found[it.description] = place, shown
        return [key for _, key in sorted(found.values(), key=lambda placed: placed[0])]

    def _fitting(self) -> tuple[list[Key], bool]:
        """The keys that there is room for, and whether they stand close together."""
        kept = list(self._keys)
        if sum(key.width + 1 for key in kept) <= self.size.width:
            return kept, False
        while kept and 1 + sum(key.width for key in kept) > self.size.width:
            least = max(kept, key=lambda key: key.rank)
            if least.rank == 0:
                break
            kept.remove(least)
        return kept, True

    def render(self) -> Content:
        """As many keys as there is room for."""
        key_style = self.get_visual_style("key-line--key")
        keys, is_close = self._fitting()
        space = "" if is_close else " "
        parts = [Content(" " if is_close else "")]
        for key in keys:
            label = "" if key.enabled else "dim"
            parts.append(
                Content.assemble((space + shown_key(key.key), key_style), (f" {key.label} ", label))
            )
        return Content("").join(parts)

    def _at(self, x: int) -> Key | None:
        keys, is_close = self._fitting()
        start, space = (1, 0) if is_close else (0, 1)
        for key in keys:
            end = start + key.width + space
            if start <= x < end:
                return key
            start = end
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What a key does, beside the pointer."""
        key = self._at(event.x)
        text = key.tooltip if key is not None else None
        if text != self.tooltip:
            self.tooltip = text

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked on."""
        event.stop()
        key = self._at(event.x)
        if key is not None and key.enabled:
            self.app.simulate_key(key.key)
