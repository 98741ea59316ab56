"""`KeyLine`: the last line of a screen, with the keys that matter now.

Layer: ui. It replaces Textual's footer, which cuts off what does not fit (the help key), mounts a
new widget for each key whenever the focus moves, and does not change while the terminal has lost
the focus. This widget draws its line.
"""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui_trainer.ui.shared.bindings import KeyHint, KeyRow, live_keys, shown_key


class KeyLine(Widget, can_focus=False):
    """Follows the focus and the available actions; a click presses the key."""

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
        self._keys: list[KeyHint] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[Any]) -> None:
        # The signal may come from a screen in front of this widget's own.
        keys = live_keys(self.screen)
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    @property
    def _row(self) -> KeyRow:
        return KeyRow.fitting(self._keys, self.size.width)

    def render(self) -> Content:
        """Draw as many keys as there is room for."""
        key_style = self.get_visual_style("key-line--key")
        row = self._row
        before, space = (" ", "") if row.is_close else ("", " ")
        parts = [Content(before)]
        for key in row.keys:
            label = "" if key.enabled else "dim"
            parts.append(
                Content.assemble((space + shown_key(key.key), key_style), (f" {key.label} ", label))
            )
        return Content("").join(parts)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show in a tooltip what the key under the pointer does."""
        key = self._row.at(event.x)
        text = key.tooltip if key is not None else None
        if text != self.tooltip:
            self.tooltip = text

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked."""
        event.stop()
        key = self._row.at(event.x)
        if key is not None and key.enabled:
            self.app.simulate_key(key.key)
