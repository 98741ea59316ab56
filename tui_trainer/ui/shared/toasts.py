"""`ToastPlace`: keeps short messages off the keys and fields in use, and on their own screen.

Layer: ui. Textual shows messages in the lower right corner of whichever screen is in front.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.app import App
from textual.content import Content
from textual.css.query import NoMatches
from textual.geometry import Region
from textual.notifications import Notification
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Button, OptionList
from textual.widgets._toast import ToastRack

from tui_trainer.ui.shared.key_line import KeyLine

_MOST_CELLS = 60
_FRAME_CELLS = 3
_FRAME_ROWS = 3
"""A toast has its border and its padding, and a free row above it."""
_FIELD_ROWS = 3
"""A widget of more rows is a pane, of which only the line under the cursor counts."""


class ToastPlace:
    """The place of the messages of an app, and the screen that each belongs to."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._screens: dict[str, Screen[Any]] = {}
        """The screen that was in front when a text was told."""

    def begin(self) -> None:
        """Follow the screens from now on."""
        self._app.screen_change_signal.subscribe(self._app, self._leave)

    def tell(self, text: str) -> None:
        """Note that a text is about to be shown on the screen in front."""
        self._screens[text] = self._app.screen

    def belongs_here(self, notification: Notification) -> bool:
        """Return whether the screen on which a message was told is still in front."""
        return self._screens.get(notification.message, self._app.screen) is self._app.screen

    def _leave(self, screen: Screen[Any]) -> None:
        """Remove the messages when another screen comes to the front."""
        told = self._app._notifications
        self._screens = {text: own for text, own in self._screens.items() if own is screen}
        if any(not self.belongs_here(it) or it.message not in self._screens for it in told):
            self._app.clear_notifications()

    def update(self) -> None:
        """Move the messages to the lowest rows where they cover nothing that is in use."""
        screen = self._app.screen
        try:
            rack = screen.get_child_by_type(ToastRack)
        except NoMatches:
            return
        width, height = self._app.size
        toast_width = min(_MOST_CELLS, width // 2)
        rows = sum(_rows_of(it, toast_width) for it in self._app._notifications)
        taken = list(_regions_in_use(screen))
        below = _free_rows_below(width, height, toast_width, rows, taken)
        if rack.styles.margin.bottom != below:
            rack.styles.margin = (0, 0, below, 0)


def _rows_of(notification: Notification, width: int) -> int:
    text = Content(notification.message)
    return len(text.wrap(max(width - _FRAME_CELLS, 1))) + _FRAME_ROWS


def _free_rows_below(
    width: int, height: int, toast_width: int, rows: int, taken: list[Region]
) -> int:
    """Return how many rows to leave below the messages; as few as possible, but at least one."""

    def covered(below: int) -> int:
        place = Region(width - toast_width, height - below - rows, toast_width, rows)
        return sum(place.intersection(region).area for region in taken)

    places = range(1, max(height - rows, 1) + 1)
    return min(places, key=lambda below: (covered(below), below))


def _regions_in_use(screen: Screen[Any]) -> Iterator[Region]:
    """Yield what must stay visible: buttons, keys, and the field or the line with the focus."""
    for widget in screen.query(Widget):
        if isinstance(widget, Button | KeyLine) and widget.display:
            yield widget.region
    if isinstance(screen, ModalScreen):
        # The keys of a dialog are in its lower border.
        yield from (Region(it.x, it.bottom - 1, it.width, 1) for it in _boxes(screen))
    focused = screen.focused
    if isinstance(focused, OptionList) and focused.highlighted is not None:
        line = focused.region.y + focused.highlighted - focused.scroll_offset.y
        yield Region(focused.region.x, line, focused.region.width, 1).intersection(focused.region)
    elif focused is not None and focused.region.height <= _FIELD_ROWS:
        # With what is said beside it.
        parent = focused.parent
        row = parent if isinstance(parent, Widget) and parent.region.height <= 2 else focused
        yield row.region


def _boxes(screen: Screen[Any]) -> Iterator[Region]:
    for child in screen.children:
        if not isinstance(child, ToastRack):
            yield child.region
