"""`KeyLine`: the keys that matter now, in the last line of a screen.

Layer: ui. Textual's footer cuts off what does not fit, which is the help, is empty while it is put
together anew, and stays as it is while the terminal has not the focus. This one draws its line;
where there is little room, it first says it closer together, and then leaves out what was named as
dispensable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui_trainer.ui.bindings import shown_key


@dataclass(frozen=True, slots=True)
class Key:
    """A key that can be pressed now, and what it does."""

    key: str
    action: str
    label: str
    tooltip: str
    enabled: bool

    @property
    def width(self) -> int:
        """In cells, with a space behind the key and one behind the label."""
        return cell_len(shown_key(self.key) + self.label) + 2


class KeyLine(Widget, can_focus=False):
    """The keys of the screen, of the part that has the focus, and of the app, in this order.

    `dispensable` are ids of actions; the first ones are left out first. A click presses a key.
    """

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

    def __init__(self, dispensable: Sequence[str] = ()) -> None:
        super().__init__()
        self._dispensable = dispensable
        self._keys: dict[str, Key] = {}
        """By the id of the action, or by the action where it has none."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        keys = self._live()
        if list(keys.items()) != list(self._keys.items()):
            self._keys = keys
            self.refresh()

    def _live(self) -> dict[str, Key]:
        """One key for each action that is to be shown."""
        by_action: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                by_action.setdefault(active.binding.action, active)
        ranks = {self.screen: 0, self.app: 2}
        found: dict[str, Key] = {}
        for active in sorted(by_action.values(), key=lambda it: ranks.get(it.node, 1)):
            it = active.binding
            found[it.id or it.action] = Key(
                *(it.key, it.action, it.description, active.tooltip or "", active.enabled)
            )
        return found

    def _fitting(self) -> tuple[list[Key], bool]:
        """The keys that there is room for, and whether they stand close together."""
        kept = dict(self._keys)
        if sum(key.width + 1 for key in kept.values()) <= self.size.width:
            return list(kept.values()), False
        for name in self._dispensable:
            if 1 + sum(key.width for key in kept.values()) <= self.size.width:
                break
            kept.pop(name, None)
        return list(kept.values()), True

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
