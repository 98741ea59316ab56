"""Letters that were typed before the focus had come to the field that they are for.

Layer: ui. On a slow line several keys arrive at once. All are sent to what has the focus when they
arrive, come back unused, and would then be looked up as commands: `/` opens a search, and the `q`
of the word behind it would leave the app.
"""

from __future__ import annotations

from textual import events
from textual.widget import Widget
from textual.widgets import Input


def take_late_letter(focused: Widget | None, event: events.Key) -> None:
    """Type a letter that came back unused into the field that has the focus by now.

    For the app's `on_key`: a field keeps every letter that was sent to it, so that one which comes
    back was sent to something else.
    """
    if isinstance(focused, Input) and event.is_printable and event.character:
        event.prevent_default()
        focused.insert_text_at_cursor(event.character)
