"""`LaunchBar`: the name of the run, and the button that starts it.

Layer: ui.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Button, Input, Static

from tui_trainer.ui.widgets.text_input import TextInput


class LaunchBar(Horizontal):
    """One line; enter in the name goes on to the button."""

    DEFAULT_CSS = """
    LaunchBar { height: 1; padding: 0 1; }
    LaunchBar Static { width: 9; color: $text-muted; }
    LaunchBar Input { width: 1fr; max-width: 40; margin-right: 2; }
    LaunchBar Button { min-width: 15; }
    """

    @dataclass
    class Pressed(Message):
        """The button was pressed."""

    def compose(self) -> ComposeResult:
        yield Static("run name", markup=False)
        yield TextInput(compact=True, max_length=100, placeholder="optional", id="run-name")
        yield Button("▶ Start  F5", variant="primary", compact=True, id="start")

    @property
    def run_name(self) -> str:
        """What was typed; empty for the experiment's own name."""
        return self.query_one(Input).value.strip()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.Pressed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Button).focus()
