"""`FirstScreen`: is painted before anything has been read, and stays below the other screens.

Layer: ui. It is imported before the first paint, so it imports nothing heavy. Keys that are typed
before a screen can use them are shown, kept, and handed to that screen.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from tui_trainer.runs.states import sign_in
from tui_trainer.text.clean import clean
from tui_trainer.ui.shared.bindings import shown_key
from tui_trainer.ui.shared.lines import Heading

MOST_KEPT = 200
READING = " reading presets and settings"


def first_title(starts: str = "", watches: str = "") -> str:
    """Return the heading of the first screen: the run that starts or is shown, or the program."""
    if starts:
        # As the run screen has it.
        return f"{sign_in('starting', plain=False)} {clean(starts, 80)} · starting"
    return clean(watches, 80) or "tui-trainer"


class FirstScreen(Screen[None]):
    """Says what is being read; meanwhile the app's own keys work, including those that leave it.

    The names of the experiments stand where the compose screen will have them.
    """

    def __init__(self, title: str = "", experiments: Sequence[str] = ()) -> None:
        super().__init__()
        self._title = title or first_title()
        self._experiments = experiments
        self._kept: list[events.Key] = []

    def compose(self) -> ComposeResult:
        yield Heading(self._title, platform.node())
        yield Static(READING, markup=False)
        names = [f"   {clean(name, 80)}" for name in self._experiments]
        yield Static("\n".join([" Experiment", *names]) if names else "", markup=False)

    def on_key(self, event: events.Key) -> None:
        is_of_app = event.key in self.app._bindings.key_to_bindings
        if not is_of_app and len(self._kept) < MOST_KEPT:
            event.stop()
            self._kept.append(event)
            keys = " ".join(shown_key(kept.key) for kept in self._kept)
            self.query(Static).first().update(f"{READING}; keys kept for later: {keys}")

    def hand_over(self) -> None:
        """Send the kept keys again, to the screen that is in front now."""
        kept, self._kept = self._kept, []
        if kept:
            self.query(Static).first().update(READING)
        for event in kept:
            self.app.post_message(events.Key(event.key, event.character))
