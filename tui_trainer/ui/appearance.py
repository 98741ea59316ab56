"""`Appearance`: the theme, keys, mouse and characters of the app, as the user wants them.

Layer: ui. It is imported after the first paint. A theme that is chosen in the app is remembered,
unless config.yaml sets one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from textual.app import App
from textual.theme import Theme

from tui_trainer.config.preferences import Preferences
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.ui.plots.markers import markers_for
from tui_trainer.ui.terminal.driver import TerminalDriver


class Appearance:
    """Applies the preferences and the choices of a user to an app."""

    def __init__(self, app: App[Any], preferences: Preferences, choices: RememberedChoices) -> None:
        self._app = app
        self._preferences = preferences
        self._choices = choices
        self._theme_at_start = choices.values.theme or preferences.theme

    def apply(self, driver: TerminalDriver | None) -> None:
        """Dress the app, and remember themes that are chosen from now on."""
        app, preferences = self._app, self._preferences
        app.theme = self._theme_at_start
        app.theme_changed_signal.subscribe(app, self._keep_theme)
        app.set_keymap(preferences.keymap)
        app.set_class(plain_terminal(preferences), "-ascii")
        if driver is not None and not preferences.mouse:
            driver.release_mouse()
        if driver is not None and preferences.markers in ("braille", "block"):
            driver.write_utf8()

    def _keep_theme(self, theme: Theme) -> None:
        """Remember a theme that was chosen."""
        if theme.name == (self._choices.values.theme or self._theme_at_start):
            return
        self._choices.keep(theme=theme.name)
        if "theme" in self._preferences.model_fields_set:
            self._app.notify("config.yaml sets the theme: this one lasts until you quit")


def plain_terminal(preferences: Preferences) -> bool:
    """Return whether to draw in ASCII: it was chosen, or the terminal does not support UTF-8."""
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    return markers_for(preferences.markers, os.environ, encoding) == "ascii"
